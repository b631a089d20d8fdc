// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// server starts a token endpoint and returns a client registered there.
func server(t *testing.T, handler http.HandlerFunc) *oauth.Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return registration(s.URL, s.Client())
}

func registration(address string, client *http.Client) *oauth.Client {
	return &oauth.Client{
		Endpoints:      oauth.Endpoints{Authorization: address + "/authorize", Token: address + "/token", Revocation: address + "/revoke"},
		ID:             "id",
		Secret:         oauth.NewSecret("client-" + sentinel),
		Authentication: oauth.Basic,
		PKCE:           true,
		Scopes:         []string{"read", "write"},
		RedirectURI:    "https://operator.example/callback",
		HTTP:           client,
		Clock:          now,
	}
}

// answer serves one fixed answer.
func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header()["Date"] = nil
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// roundTripper makes an HTTP client of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func clientOf(f roundTripper) *http.Client { return &http.Client{Transport: f} }

func held() *oauth.Token {
	return &oauth.Token{
		AccessToken:        oauth.NewSecret("old-access-" + sentinel),
		RefreshToken:       oauth.NewSecret("old-refresh-" + sentinel),
		RefreshTokenExpiry: now().Add(time.Hour),
		TokenType:          "Bearer",
		Obtained:           now(),
		Scopes:             []string{"read"},
	}
}

// wantKind fails unless err is an *oauth.Error of a kind, with nothing of the request in it.
func wantKind(t *testing.T, err error, kind oauth.Kind) *oauth.Error {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an *oauth.Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("kind is %s, want %s (%v)", e.Kind, kind, e)
	}
	if strings.Contains(e.Error(), sentinel) {
		t.Errorf("the error repeats a secret or the provider's text: %v", e)
	}
	return e
}

// call is what reached any endpoint, however it is worded.
type call struct {
	method, address string // path and query
	header          http.Header
	// params are those of the body, form or JSON.
	params map[string]string
	user   string
}

// scripted serves one answer to every request and keeps what was asked.
func scripted(t *testing.T, handler http.HandlerFunc) (*oauth.Client, *[]call) {
	t.Helper()
	var calls []call
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, readCall(t, r))
		handler(w, r)
	})
	base := strings.TrimSuffix(c.Endpoints.Token, "/token")
	c.Endpoints.DeviceAuthorization, c.Endpoints.Introspection = base+"/device", base+"/introspect"
	c.Endpoints.PushedAuthorizationRequest = base + "/par"
	return c, &calls
}

func readCall(t *testing.T, r *http.Request) call {
	t.Helper()
	got := call{method: r.Method, address: r.URL.RequestURI(), header: r.Header, params: map[string]string{}}
	got.user, _, _ = r.BasicAuth()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	switch r.Header.Get("Content-Type") {
	case "application/json":
		err = json.Unmarshal(body, &got.params)
	case formType:
		var form url.Values
		form, err = url.ParseQuery(string(body))
		for name, values := range form {
			if got.params[name] = values[0]; len(values) > 1 {
				t.Errorf("%s is sent %d times", name, len(values))
			}
		}
	default:
		if len(body) > 0 {
			t.Errorf("a body of type %q", r.Header.Get("Content-Type"))
		}
	}
	if err != nil {
		t.Error(err)
	}
	return got
}

// only returns the only call.
func only(t *testing.T, calls *[]call) call {
	t.Helper()
	if len(*calls) != 1 {
		t.Fatalf("%d requests", len(*calls))
	}
	return (*calls)[0]
}

// request is what reached the endpoint.
type request struct {
	header http.Header
	form   url.Values
	user   string
	secret string
}

func readRequest(t *testing.T, r *http.Request) request {
	t.Helper()
	if r.Method != http.MethodPost {
		t.Errorf("method is %s", r.Method)
	}
	if err := r.ParseForm(); err != nil {
		t.Error(err)
	}
	user, secret, _ := r.BasicAuth()
	return request{r.Header, r.PostForm, user, secret}
}
