// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

// pairing is what an operator runs with that was not told otherwise.
var pairing = []string{"Pairing"}

// pairedBrowserConnects lets everybody try who has seen an address of somebody who may connect.
func pairedBrowserConnects(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	w.startWith(t, operator.Options{Modes: pairing})
	namespace := w.team(t, nil)
	w.asks(t, connection(namespace, "paired"))
	w.viewerIsRefused(t, namespace, "paired")

	process := w.oauth(t, w.person(t, "edith", testenv.Edit, namespace), namespace, "paired")
	start := address(t, process)
	// A browser on another machine: what is sent to its own loopback address arrives nowhere.
	elsewhere := &idp.Browser{Until: func(next *url.URL) bool { return next.Path == "/pair" }}
	w.mustNotGoOn(t, elsewhere, start, http.StatusSeeOther)
	w.mustNotGoOn(t, elsewhere, withQuery(t, start, "proof="+strings.Repeat("A", 43)), http.StatusForbidden)
	w.mustNotGoOn(t, elsewhere, withQuery(t, start, ""), http.StatusNotFound)

	own := &idp.Browser{}
	consent, err := own.Open(t.Context(), start)
	if err != nil || consent.Status != http.StatusOK || len(consent.Forms) != 1 {
		t.Fatalf("the browser of who asked is not let in: %v, %+v", err, consent)
	}
	for _, browser := range []*idp.Browser{elsewhere, {}} {
		w.mustNotGoOn(t, browser, start, http.StatusForbidden)
		w.mustNotGoOn(t, browser, consent.URL.String(), http.StatusForbidden)
	}

	own.Until = func(next *url.URL) bool { return strings.HasPrefix(next.String(), w.provider.Issuer()) }
	sent, err := consent.Submit(t.Context(), "", nil)
	if err != nil || sent.Status != http.StatusSeeOther {
		t.Fatalf("the consent leads nowhere: %v, %+v", err, sent)
	}
	raw := sent.Header.Get("Location")
	page, err := (&idp.Browser{}).Connect(t.Context(), raw, idp.DefaultUser())
	if err != nil || page.Status != http.StatusBadRequest {
		t.Errorf("another browser ends with %v, %+v", err, page)
	}
	w.noCodeWasExchanged(t)

	own.Until = nil
	finishes(t, own, raw)
	ends(t, process, 0)
	if !strings.Contains(process.Output(), "Connected "+idp.DefaultUser().Email) {
		t.Errorf("kubectl oauth does not say who is connected:\n%s", process.Output())
	}
	w.awaitReady(t, namespace, []string{"paired"})
	w.accepted(t, namespace, []string{"paired"})
	w.nothingLeft(t, namespace)
	if n := w.tokenRequests("authorization_code"); n != 1 {
		t.Errorf("%d codes were exchanged, want 1", n)
	}
}

// viewerIsRefused lets somebody try who may view only, with kubectl oauth and without it.
func (w *world) viewerIsRefused(t *testing.T, namespace, name string) {
	t.Helper()
	victor := w.person(t, "victor", testenv.View, namespace)
	process := w.oauth(t, victor, namespace, name)
	ends(t, process, 1)
	for _, words := range []string{"you may not connect accounts in namespace " + namespace, "ClusterRole edit", "--clusterrole=edit --user=victor"} {
		if !strings.Contains(process.Output(), words) {
			t.Errorf("%q is not in:\n%s", words, process.Output())
		}
	}
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: name + "-"},
		Spec: v1alpha1.OAuthAuthorizationSpec{
			Connection: name, Requester: victor.name, Method: v1alpha1.PairingLoopback,
			Loopback: &v1alpha1.Loopback{Address: "127.0.0.1", Port: 8000},
		},
	}
	if err := victor.Create(t.Context(), attempt); !apierrors.IsForbidden(err) {
		t.Errorf("somebody who may view makes an attempt: %v", err)
	}
	c, err := w.get(t.Context(), namespace, name)
	if err != nil || c.Status.AuthorizationURL != "" {
		t.Errorf("status holds an address, %q (%v)", c.Status.AuthorizationURL, err)
	}
	w.mustNotGoOn(t, &idp.Browser{}, w.front.URL+"/connect/"+namespace+"/"+name, http.StatusForbidden)
	w.nothingLeft(t, namespace)
}

// mustNotGoOn opens an address, where there is nothing to press and which leads to no provider.
func (w *world) mustNotGoOn(t *testing.T, browser *idp.Browser, start string, status int) {
	t.Helper()
	page, err := browser.Open(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != status || len(page.Forms) > 0 {
		t.Errorf("a browser that must not go on is at %s with status %d and %d forms", page.URL.Path, page.Status, len(page.Forms))
	}
	if n := w.provider.Count(idp.Authorize); n > 0 {
		t.Errorf("a browser that must not go on got to the provider")
	}
	w.noCodeWasExchanged(t)
}

func (w *world) noCodeWasExchanged(t *testing.T) {
	t.Helper()
	if n := w.provider.Count(idp.Token); n != 0 {
		t.Errorf("the token endpoint counts %d requests", n)
	}
}

func withQuery(t *testing.T, address, query string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.RawQuery = query
	return parsed.String()
}

// consentGoesRound has three replicas, of which each request meets another.
func consentGoesRound(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	signIn := w.signIn(t)
	for range 3 {
		w.startWith(t, operator.Options{Modes: pairing, Args: signIn})
	}
	namespace := w.team(t, nil)
	names := []string{"by-plugin-0", "by-plugin-1", "by-plugin-2", "by-page-0", "by-page-1", "by-page-2"}
	for _, name := range names {
		w.asks(t, connection(namespace, name))
	}
	edith := w.person(t, "edith", testenv.Edit, namespace)
	for i, name := range names {
		for w.front.requests()%3 != i%3 { // each begins at another replica
			if _, err := (&idp.Browser{}).Open(t.Context(), w.front.URL+"/nothing"); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(name, "by-plugin") {
			w.connects(t, edith, namespace, name)
		} else {
			w.connectsByPage(t, namespace, name)
		}
	}
	w.accepted(t, namespace, names)
	if n := w.tokenRequests("authorization_code"); n < len(names) {
		t.Errorf("%d codes were exchanged", n)
	}
}

// loopbackNeedsNoWay connects while the operator has no public address, and while it has one.
func loopbackNeedsNoWay(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	namespace := w.team(t, nil)
	edith := w.person(t, "edith", testenv.Edit, namespace)
	for name, flags := range map[string][]string{"without-address": {"--public-url="}, "with-address": nil} {
		p := w.startWith(t, operator.Options{Modes: pairing, Args: flags})
		w.asks(t, w.loopback(namespace, name))
		var visited []string
		browser := &idp.Browser{Until: func(next *url.URL) bool {
			visited = append(visited, next.Host)
			return false
		}}
		process := w.oauth(t, edith, namespace, name)
		start := address(t, process)
		if !strings.HasPrefix(start, w.provider.URL(idp.Authorize)+"?") {
			t.Errorf("%s: the browser begins somewhere else than at the provider", name)
		}
		finishes(t, browser, start)
		ends(t, process, 0)
		w.awaitReady(t, namespace, []string{name})
		w.accepted(t, namespace, []string{name})
		w.nothingLeft(t, namespace)
		for _, operators := range []string{w.front.URL, p.CallbackURL} {
			if slices.Contains(visited, strings.TrimPrefix(operators, "http://")) {
				t.Errorf("%s: the browser was sent to the operator", name)
			}
		}
		text, err := metrics(p)
		if seen := sample(text, `oauth_operator_authorizations_total\{outcome="(rejected|throttled)"\}`); err != nil || seen > 0 {
			t.Errorf("%s: somebody visited the pages (%v)", name, err)
		}
		w.stop(t, p)
	}
	if n := w.front.requests(); n != 0 {
		t.Errorf("%d requests came to the public address", n)
	}
}

// leaderDiesDuringConsent kills the leader after the browser was paired, and with redirect Loopback after
// the browser was sent to the provider.
func leaderDiesDuringConsent(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	leader := w.startWith(t, operator.Options{Modes: pairing})
	w.awaitLeader(t, leader)
	w.startWith(t, operator.Options{Modes: pairing})
	w.startWith(t, operator.Options{Modes: pairing})
	namespace := w.team(t, nil)
	edith := w.person(t, "edith", testenv.Edit, namespace)
	w.asks(t, connection(namespace, "hosted"), w.loopback(namespace, "loopback"))

	hosted, loopback := w.oauth(t, edith, namespace, "hosted"), w.oauth(t, edith, namespace, "loopback")
	paired := &idp.Browser{Until: func(next *url.URL) bool { return strings.HasPrefix(next.String(), w.front.URL+"/callback/") }}
	page, err := paired.Connect(t.Context(), address(t, hosted), idp.DefaultUser())
	if err != nil || page.Status >= http.StatusBadRequest {
		t.Fatalf("%v, %+v", err, page)
	}
	callback := page.Header.Get("Location")
	start := address(t, loopback)
	killed := time.Now()
	w.kill(t, leader)

	paired.Until = nil
	finishes(t, paired, callback)
	t.Logf("the callback was answered %.1f s after the leader's death", time.Since(killed).Seconds())
	finishes(t, &idp.Browser{}, start)
	ends(t, hosted, 0)
	ends(t, loopback, 0)
	t.Logf("both were told %.1f s after the leader's death", time.Since(killed).Seconds())
	w.awaitReady(t, namespace, []string{"hosted", "loopback"})
	w.accepted(t, namespace, []string{"hosted", "loopback"})
	w.nothingLeft(t, namespace)
}

// attempts waits until kubectl oauth has made an attempt.
func (w *world) attempted(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, patience, func(ctx context.Context) error {
		list := &v1alpha1.OAuthAuthorizationList{}
		if err := w.env.Client.List(ctx, list); err != nil {
			return err
		}
		for _, a := range list.Items {
			if a.Namespace == namespace {
				return nil
			}
		}
		return errors.New("kubectl oauth makes no attempt")
	})
}
