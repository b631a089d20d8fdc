// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

const replays = 100

// replaysExchangeOnce sends one person's callback a hundred times at once, to three replicas.
func replaysExchangeOnce(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	replicas := []*operator.Process{w.start(t), w.start(t), w.start(t)}
	namespace := w.team(t, nil)
	browser, callback := w.untilCallback(t, namespace, "replayed")

	cookies := browser.Cookies(callback.String())
	begin := make(chan struct{})
	statuses := make(chan int, replays)
	for i := range replays {
		go func() {
			<-begin
			statuses <- w.visit(t, replicas[i%len(replicas)].CallbackURL, callback, cookies)
		}()
	}
	close(begin)
	succeeded := 0
	for range replays {
		switch status := <-statuses; {
		case status == http.StatusOK:
			succeeded++
		case status < 400 || status >= 500:
			t.Errorf("a replay is answered with status %d", status)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d of %d callbacks succeeded, want 1", succeeded, replays)
	}
	w.awaitReady(t, namespace, []string{"replayed"})
	w.accepted(t, namespace, []string{"replayed"})
	if n := w.tokenRequests("authorization_code"); n != 1 {
		t.Errorf("the code was exchanged %d times", n)
	}
}

// consentSurvivesRestart kills every operator while the person is at the provider.
func consentSurvivesRestart(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	before := []*operator.Process{w.start(t), w.start(t)}
	namespace := w.team(t, nil)
	browser, callback := w.untilCallback(t, namespace, "interrupted")

	for _, p := range before {
		w.kill(t, p)
	}
	w.start(t)
	browser.Until = nil
	page, err := browser.Open(t.Context(), callback.String())
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusOK {
		t.Fatalf("the callback is answered with status %d: %s", page.Status, page.Body)
	}
	w.awaitReady(t, namespace, []string{"interrupted"})
	w.accepted(t, namespace, []string{"interrupted"})
}

// untilCallback makes a connection and walks up to the redirect that brings the person back.
func (w *world) untilCallback(t *testing.T, namespace, name string) (*idp.Browser, *url.URL) {
	t.Helper()
	w.create(t, connection(namespace, name))
	start, err := w.startAddress(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	browser := &idp.Browser{Until: func(next *url.URL) bool {
		return strings.HasPrefix(next.String(), w.front.URL+"/callback/")
	}}
	page, err := browser.Connect(t.Context(), start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	callback, err := url.Parse(page.Header.Get("Location"))
	if err != nil || callback.Query().Get("code") == "" {
		t.Fatalf("the walk ends at %s with status %d, not before the callback", page.URL.Redacted(), page.Status)
	}
	return browser, callback
}

// visit opens the callback at one replica and returns the status; 0 if there is no answer.
func (w *world) visit(t *testing.T, replica string, callback *url.URL, cookies []*http.Cookie) int {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, replica+callback.RequestURI(), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	request.Host = callback.Host
	request.Header.Set("X-Forwarded-For", visitor())
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	w.evidence.page(response.Header, body)
	return response.StatusCode
}
