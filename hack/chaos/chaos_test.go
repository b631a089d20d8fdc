// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

// served is a provider for one test.
func served(t *testing.T, r rules) *tokenServer {
	t.Helper()
	p, err := serveTokens(t.Context(), 1, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p
}

// refresh sends a refresh token and returns the status and the next one.
func refresh(t *testing.T, p *tokenServer, token string) (status int, next string) {
	t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {"test"}}
	response, err := http.PostForm(p.url+"/token", form)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	var body struct {
		Refresh string `json:"refresh_token"`
	}
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body.Refresh
}

func TestASpentTokenThatComesBackEndsItsFamily(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour, rotates: true})
	first := p.issue(time.Now(), time.Hour).RefreshToken.Reveal()
	_, second := refresh(t, p, first)
	if status, _ := refresh(t, p, first); status != http.StatusBadRequest {
		t.Errorf("a spent token: status %d", status)
	}
	if status, _ := refresh(t, p, second); status != http.StatusBadRequest {
		t.Errorf("its successor: status %d", status)
	}
	if reuses, repeats := p.sentTwice(); reuses != 1 || repeats != 1 || !p.truth(0).ended {
		t.Errorf("%d reuses, %d repeats, %+v", reuses, repeats, p.truth(0))
	}
}

func TestWithinTheGraceASpentTokenIsAnsweredWithTheSameSuccessor(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour, rotates: true, grace: time.Minute})
	first := p.issue(time.Now(), time.Hour).RefreshToken.Reveal()
	_, second := refresh(t, p, first)
	if status, again := refresh(t, p, first); status != http.StatusOK || again != second {
		t.Errorf("status %d, %q instead of %q", status, again, second)
	}
	if _, third := refresh(t, p, second); third == second || p.truth(0).good != 2 {
		t.Errorf("after %q comes %q; %+v", second, third, p.truth(0))
	}
	if status, _ := refresh(t, p, first); status != http.StatusBadRequest {
		t.Errorf("a token whose successor was used: status %d", status)
	}
}

func TestALostAnswerIsProcessed(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour, rotates: true, lost: 1})
	if status, _ := refresh(t, p, p.issue(time.Now(), time.Hour).RefreshToken.Reveal()); status != 0 {
		t.Errorf("status %d", status)
	}
	if is := p.truth(0); is.good != 1 {
		t.Errorf("%+v", is)
	}
}

func TestRequestsInsideARetryAfterAreToldFromThoseUnderWay(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour, rotates: true, retryAfter: time.Hour})
	token := p.issue(time.Now(), time.Hour).RefreshToken.Reveal()
	p.throttle(time.Hour)
	if status, _ := refresh(t, p, token); status != http.StatusTooManyRequests {
		t.Errorf("status %d", status)
	}
	refresh(t, p, token) // at once: it may have been under way
	p.mu.Lock()
	told := p.quiet["test"]
	p.quiet["test"] = quiet{from: told.from.Add(-2 * inTheAir), until: told.until}
	p.mu.Unlock()
	refresh(t, p, token)
	if p.airborne != 1 || p.impatient != 1 {
		t.Errorf("%d under way, %d impatient", p.airborne, p.impatient)
	}
}

func TestARateLetsThroughWhatItSays(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour, rate: 3, retryAfter: time.Second})
	token := p.issue(time.Now(), time.Hour).RefreshToken.Reveal()
	began := time.Now()
	for range 10 {
		refresh(t, p, token)
	}
	if n := p.counts(0)[answered]; n < 3 || float64(n) > 4+3*time.Since(began).Seconds() {
		t.Errorf("%d answered of 10", n)
	}
}

func TestAnAccessTokenSaysWhenItExpires(t *testing.T) {
	p := served(t, rules{lifetime: time.Hour})
	at := time.Now().Truncate(time.Millisecond)
	token := p.issue(at, time.Minute)
	if expiry, ok := expiryOf(token.AccessToken.Reveal()); !ok || !expiry.Equal(at.Add(time.Minute)) {
		t.Errorf("%s, %t", expiry, ok)
	}
	if _, ok := expiryOf("something else"); ok {
		t.Error("a foreign token has an expiry")
	}
}

func TestATraceThatWasCutShortIsReadUpToThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(file, []byte("1000 answered a\n2000 journalled a\n3000 answe"), 0o600); err != nil {
		t.Fatal(err)
	}
	reached, err := readTrace(file)
	if err != nil {
		t.Fatal(err)
	}
	if !reached.reached("a", crashpoint.Journalled, time.Unix(0, 1500)) || reached.reached("a", crashpoint.Journalled, time.Unix(0, 2500)) {
		t.Errorf("%v", reached)
	}
}

func TestAnExplanationNamesTheCause(t *testing.T) {
	says := func(reason, message string) *v1alpha1.OAuthConnection {
		conn := &v1alpha1.OAuthConnection{}
		conn.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Reason: reason, Message: message}}
		return conn
	}
	if _, ok := explanation(says(v1alpha1.ReasonReauthorizationRequired, "most likely because the operator was killed")); !ok {
		t.Error("a cause is not seen")
	}
	for _, silent := range []*v1alpha1.OAuthConnection{
		nil,
		says(v1alpha1.ReasonReady, "the operator was killed"),
		says(v1alpha1.ReasonReauthorizationRequired, "the provider ended the grant: it was revoked, replaced or has expired"),
	} {
		if cause, ok := explanation(silent); ok {
			t.Errorf("%q is no explanation", cause)
		}
	}
}

func TestRankCorrelationIsOneInOrderAndMinusOneAgainstIt(t *testing.T) {
	if got := rankCorrelation([]time.Duration{1, 2, 3, 4}); got != 1 {
		t.Errorf("in order: %v", got)
	}
	if got := rankCorrelation([]time.Duration{4, 3, 2, 1}); got != -1 {
		t.Errorf("against it: %v", got)
	}
}

func TestPollingThatTakesTooLongSaysWhatWasSoInstead(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := poll(ctx, time.Millisecond, func() (bool, error) { return false, nil }, func() string { return "nothing came" })
	if err == nil || err.Error() != "nothing came: context deadline exceeded" {
		t.Error(err)
	}
}

func TestEveryScenarioHasANameOfItsOwn(t *testing.T) {
	names := map[string]bool{}
	for _, sc := range scenarios() {
		if sc.name == "" || names[sc.name] || sc.run == nil || sc.title == "" {
			t.Errorf("%+v", sc.name)
		}
		names[sc.name] = true
	}
	if _, err := choose("sigterm,nothing"); err == nil {
		t.Error("an unknown scenario is chosen")
	}
}
