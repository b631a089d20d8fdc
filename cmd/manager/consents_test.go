// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// forOthers makes the provider answer once with an ID token for another client; change alters it further.
func (w *world) forOthers(change func(claims map[string]any)) {
	w.provider.Fault(idp.Token, 1, idp.Rewrite(func(body map[string]any) {
		answered, _ := body["id_token"].(string)
		claims := (&oauth.Token{IDToken: oauth.NewSecret(answered)}).Claims()
		claims["aud"], claims["email"], claims["exp"] = "somebody-else", "mallory@example.com", time.Now().Add(time.Hour).Unix()
		change(claims)
		if forged, err := w.provider.Sign(claims); err == nil {
			body["id_token"] = forged
		}
	}))
}

func TestAnIDTokenOfAnotherClientNamesNobody(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		spec   string
		change func(map[string]any)
		status int
		kept   bool
	}{
		"no account is expected":      {change: func(map[string]any) {}, status: http.StatusOK, kept: true},
		"the account that it names":   {spec: "expectedAccount: mallory@example.com", change: func(map[string]any) {}, status: http.StatusBadGateway},
		"of another request, besides": {change: func(c map[string]any) { c["nonce"] = "another" }, status: http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, rotating)
			conn := w.apply("alice", w.inline(allScopes+row.spec))
			w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
			w.forOthers(row.change)
			if page := w.connect(conn); page.Status != row.status {
				t.Errorf("the last page has status %d", page.Status)
			}
			if !row.kept {
				if len(w.records(conn)) != 0 {
					t.Error("something is stored")
				}
				return
			}
			w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionTrue, v1alpha1.ReasonIDTokenInvalid)
			if w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady); conn.Status.Account != "" || !w.accepted("alice") {
				t.Errorf("status\n%s", describe(conn))
			}
		})
	}
}

func TestKeysThatCannotBeFetchedAccuseNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.provider.Fault(idp.Keys, -1, idp.Status(http.StatusServiceUnavailable, ""))
	conn := w.connected("alice", "expectedAccount: "+w.user.Email+"\n")
	w.refreshed(conn)
	if w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionTrue, v1alpha1.ReasonAuthorized); conn.Status.Account != w.user.Email {
		t.Errorf("status\n%s", describe(conn))
	}
	if len(w.provider.Requests(idp.Keys)) < 2 {
		t.Error("the keys were not asked for")
	}
}

// pushing is a provider that takes authorization requests at its own address only (RFC 9126).
type pushing struct {
	*httptest.Server

	mu     sync.Mutex
	asked  url.Values // what was pushed
	refuse bool
}

func newPushing(t *testing.T) *pushing {
	p := &pushing{}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
	mux.HandleFunc("POST /par", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if id, secret, ok := r.BasicAuth(); !ok || id != idp.DefaultClient().ID || secret == "" || p.refuse {
			answer(w, http.StatusBadRequest, `{"error":"invalid_request"}`)
			return
		}
		_ = r.ParseForm()
		p.asked = r.PostForm
		answer(w, http.StatusCreated, `{"request_uri":"urn:pushed:1","expires_in":60}`)
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if q := r.URL.Query(); q.Get("request_uri") != "urn:pushed:1" || q.Get("client_id") != idp.DefaultClient().ID || len(q) != 2 {
			http.Error(w, "not pushed", http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, p.asked.Get("redirect_uri")+"?code=c&state="+url.QueryEscape(p.asked.Get("state")), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":3600}`)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func TestAnAuthorizationRequestIsPushedWhereTheProviderTakesThat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	p := newPushing(t)
	p.refuse = true
	conn := w.apply("pushed", strings.ReplaceAll(`{provider: {endpoints: {authorization: P/authorize, token: P/token, pushedAuthorizationRequest: P/par}},
 client: {id: `+idp.DefaultClient().ID+`, secretRef: {name: client}}, scopes: [read]}`, "P/", p.URL+"/"))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if page := w.connect(conn); page.Status != http.StatusBadGateway || !strings.Contains(page.Body, "The provider refused the request") ||
		!strings.Contains(page.Body, "pushedAuthorization to None") {
		t.Errorf("status %d: %s", page.Status, page.Body)
	}
	p.mu.Lock()
	p.refuse = false
	p.mu.Unlock()
	if page := w.connect(conn); page.Status != http.StatusOK {
		t.Errorf("status %d: %s", page.Status, page.Body)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if p.asked.Get("code_challenge") == "" || p.asked.Get("scope") != "read" || p.asked.Get("response_type") != "code" {
		t.Errorf("pushed were %d parameters", len(p.asked))
	}
}
