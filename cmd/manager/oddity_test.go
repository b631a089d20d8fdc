// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// oddity is the provider that docs/describing-a-provider.md invents: hardly anything of it is as RFC 6749
// has it, and whatever is not as that page says, it refuses.
type oddity struct {
	*httptest.Server

	mu        sync.Mutex
	challenge map[string]string // by code
	renewals  map[string]bool   // those that can still be used
	tokens    map[string]bool   // those that are good
	requests  []string
}

func newOddity(t *testing.T) *oddity {
	o := &oddity{challenge: map[string]string{}, renewals: map[string]bool{}, tokens: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", o.authorize)
	mux.HandleFunc("POST /token", o.told(o.exchange))
	mux.HandleFunc("POST /token/renew", o.told(o.renew))
	mux.HandleFunc("DELETE /tokens/{token}", o.revoke)
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *oddity) note(format string, args ...any) {
	o.requests = append(o.requests, fmt.Sprintf(format, args...))
}

func (o *oddity) authorize(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("app_key") != "client-1" || q.Get("permissions") != "read,write" || q.Has("client_id") || q.Has("scope") {
		http.Error(w, "not asked as documented", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	o.challenge[code] = q.Get("code_challenge")
	back.RawQuery = url.Values{"auth_code": {code}, "state": {q.Get("state")}, "shard": {"eu1"}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// told reads a JSON request and answers by JSON, whatever happens with status 200.
func (o *oddity) told(answer func(map[string]string) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		asked := map[string]string{}
		var said any = refusal{40, "bad_request", "not asked as documented"}
		if json.NewDecoder(r.Body).Decode(&asked) == nil && r.Header.Get("Api-Version") == "2026-01-01" &&
			asked["app_key"] == "client-1" && asked["app_secret"] == "s3cret" && asked["grant_type"] == "" {
			said = answer(asked)
		}
		o.note("%s %T", r.URL.Path, said)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(said)
	}
}

type refusal struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

type grant map[string]any

func (o *oddity) grant() any {
	token, renewal := rand.Text(), rand.Text()
	o.tokens[token], o.renewals[renewal] = true, true
	return grant{"code": 0, "data": map[string]any{
		"token":       map[string]any{"value": token, "renewal": renewal, "ttl_ms": 3600_000},
		"permissions": []string{"read", "write"},
		"owner":       map[string]any{"login": "ada"},
	}}
}

func (o *oddity) exchange(asked map[string]string) any {
	sum := sha256.Sum256([]byte(asked["code_verifier"]))
	if challenge := o.challenge[asked["code"]]; challenge == "" || challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return refusal{41, "invalid_grant", "no such code"}
	}
	return o.grant()
}

func (o *oddity) renew(asked map[string]string) any {
	if !o.renewals[asked["refresh_token"]] {
		return refusal{42, "renewal_spent", "sentinel of the provider"}
	}
	delete(o.renewals, asked["refresh_token"])
	return o.grant()
}

func (o *oddity) revoke(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	token := r.PathValue("token")
	o.note("revoke %t", r.Header.Get("Authorization") == "Bearer "+token && o.renewals[token])
	delete(o.renewals, token)
	w.WriteHeader(http.StatusNoContent)
}

// spend ends every renewal, as a provider does that saw one twice.
func (o *oddity) spend() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.renewals)
}

func (o *oddity) accepts(token string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tokens[token]
}

func (o *oddity) saw(request string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.requests, request)
}

// documentedOddity is the connection of the page, moved to this provider and namespace.
func (w *world) documentedOddity(o *oddity) *v1alpha1.OAuthConnection {
	w.Helper()
	raw, err := os.ReadFile("../../docs/describing-a-provider.md")
	if err != nil {
		w.Fatal(err)
	}
	_, after, found := strings.Cut(string(raw), "```yaml\napiVersion:")
	text, _, closed := strings.Cut("apiVersion:"+after, "\n```")
	if !found || !closed {
		w.Fatal("the page has no connection")
	}
	conn := &v1alpha1.OAuthConnection{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, "https://oddity.example.com", o.URL)), conn); err != nil {
		w.Fatal(err)
	}
	conn.Namespace = w.namespace
	conn.Spec.Secret.Template = &v1alpha1.SecretTemplate{Data: map[string]string{
		"access_token": "{{ .accessToken }}", "shard": "{{ .metadata.shard }}",
	}}
	w.createSecret("oddity-client", map[string]string{"client-secret": "s3cret"})
	if err := env.Client.Create(w.Context(), conn, client.FieldValidation("Strict")); err != nil {
		w.Fatal(err)
	}
	return conn
}

// connectedToOddity is somebody who has consented at a provider like no other.
func connectedToOddity(t *testing.T) (*world, *oddity, *v1alpha1.OAuthConnection) {
	t.Helper()
	w, o := newWorld(t, idp.Options{}), newOddity(t)
	conn := w.documentedOddity(o)
	if page := w.connect(conn); page.Status != http.StatusOK {
		t.Fatalf("the last page is %d %s", page.Status, page.URL.Path)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return w, o, conn
}

func TestAProviderLikeNoOtherIsConnectedWithTheYAMLOfItsPageAlone(t *testing.T) {
	t.Parallel()
	w, o, conn := connectedToOddity(t)
	if conn.Status.Account != "ada" || !slices.Equal(conn.Status.Scopes, []string{"read", "write"}) {
		t.Errorf("account %q, scopes %v", conn.Status.Account, conn.Status.Scopes)
	}
	if life := conn.Status.ExpiresAt.Sub(conn.Status.LastRefreshTime.Time).Minutes(); life < 59 || life > 61 {
		t.Errorf("the token lives for %.0f minutes", life)
	}
	first := string(w.target("oddity").Data["access_token"])
	w.refreshed(conn)
	w.eventually("the next token in the target", func() (bool, string) {
		data := w.target("oddity").Data
		now := string(data["access_token"])
		return now != first && o.accepts(now) && string(data["shard"]) == "eu1", ""
	})
}

func TestARefreshAddressThatNobodyToldIsNamedAndCostsNoToken(t *testing.T) {
	t.Parallel()
	w, o, conn := connectedToOddity(t)
	w.patch(conn, `{provider: {endpoints: {refresh: "`+o.URL+`/{region}/renew"}, metadata: [{name: region, value: body.region, pattern: "[a-z]+"}], account: body.data.owner}}`)
	w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	w.connect(conn)
	// The account expression gives an object now, which costs nothing but the name.
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonResponseInvalid)
	if !strings.Contains(c.Message, "account gave an object instead of a text") {
		t.Error(c.Message)
	}
	held := string(w.target("oddity").Data["access_token"])
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "now")
	c = w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonProviderInvalid)
	if !strings.Contains(c.Message, "spec.provider.endpoints.refresh: it needs metadata region") {
		t.Error(c.Message)
	}
	if !o.accepts(held) || string(w.target("oddity").Data["access_token"]) != held {
		t.Error("the token is not kept")
	}
}

func TestAnOddProvidersRefusalIsSaidInTheWordsOfItsDescription(t *testing.T) {
	t.Parallel()
	w, o, conn := connectedToOddity(t)
	o.spend()
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "now")
	c := w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	if !strings.Contains(c.Message, "the renewal was used before; connect the account again") {
		t.Error(c.Message)
	}
	if strings.Contains(describe(conn), "sentinel") {
		t.Error("the provider's own text is in the status")
	}
}

func TestARefreshTokenOutlivesAnExpressionThatCannotReadTheAnswer(t *testing.T) {
	t.Parallel()
	w, o, conn := connectedToOddity(t)

	// The provider replaces the refresh token, and nobody can tell which of the answer is the access token.
	w.patch(conn, "{provider: {tokenResponse: {accessToken: body.data.token}}}")
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "now")
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonRefreshFailed)
	if !strings.Contains(c.Message, "tokenResponse.accessToken gave an object instead of a text") {
		t.Error(c.Message)
	}

	w.patch(conn, "{provider: {tokenResponse: {accessToken: body.data.token.value}}}")
	w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonFresh)
	w.eventually("a token that the provider takes", func() (bool, string) {
		return o.accepts(string(w.target("oddity").Data["access_token"])), describe(conn)
	})
}

func TestAnOddProvidersGrantIsRevokedAsItsDescriptionSays(t *testing.T) {
	t.Parallel()
	w, o, conn := connectedToOddity(t)
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	w.gone(conn)
	if !o.saw("revoke true") {
		t.Errorf("the provider saw %v", o.requests)
	}
}
