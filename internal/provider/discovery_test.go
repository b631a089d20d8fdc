// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

func byIssuer(issuer string) *v1alpha1.OAuthConnection {
	return connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(issuer)})
}

func TestDiscoveryFillsWhatIsEmpty(t *testing.T) {
	p := newIDP(t)
	p.document(openID, map[string]any{"authorization_response_iss_parameter_supported": true})
	e := setup(t, p, secret("team-a", "s", "hush"))
	conn := byIssuer(p.URL)
	conn.Spec.Provider.Endpoints = &v1alpha1.Endpoints{UserInfo: "https://other.example/me"}
	got := e.resolve(t, conn)
	want := oauth.Endpoints{Authorization: p.URL + "/authorize", Token: p.URL + "/token", Revocation: p.URL + "/revoke", UserInfo: "https://other.example/me"}
	if got.Endpoints != want || !got.IssInResponse || got.Issuer != p.URL || got.DisplayName != "127.0.0.1" {
		t.Errorf("got %+v", got)
	}
}

func TestDiscoveryTriesOpenIDThenRFC8414(t *testing.T) {
	p := newIDP(t)
	issuer := p.URL + "/tenant/one"
	p.document("/.well-known/oauth-authorization-server/tenant/one", map[string]any{"issuer": issuer})
	setup(t, p, secret("team-a", "s", "hush")).resolve(t, byIssuer(issuer))
	want := []string{"/tenant/one/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant/one"}
	if got := p.asked(); !slices.Equal(got, want) {
		t.Errorf("asked %v", got)
	}
}

func TestTheIssuerMustMatchExactly(t *testing.T) {
	p := newIDP(t)
	tests := map[string]struct{ spec, document, hint string }{
		"another":              {p.URL, "https://evil.example/" + hostile, "names another issuer"},
		"none":                 {p.URL, "", "names another issuer"},
		"a slash is missing":   {p.URL, p.URL + "/", "add the slash"},
		"a slash is too much":  {p.URL + "/", p.URL, "remove the slash"},
		"another case of path": {p.URL + "/Tenant", p.URL + "/tenant", "names another issuer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{openID, "/Tenant" + openID} {
				p.document(path, map[string]any{"issuer": test.document})
			}
			refusal := setup(t, p).refused(t, byIssuer(test.spec), v1alpha1.ReasonIssuerMismatch, "spec.provider.issuer: "+test.spec, test.hint)
			if refusal.Retry == 0 {
				t.Error("a provider that corrects itself is never seen")
			}
		})
	}
	slashed := newIDP(t)
	slashed.document(openID, map[string]any{"issuer": slashed.URL + "/"})
	setup(t, slashed, secret("team-a", "s", "hush")).resolve(t, byIssuer(slashed.URL+"/"))
}

func TestDiscoveryFailuresSayWhatToDo(t *testing.T) {
	serve := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://evil.example/"+hostile)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		words   string
	}{
		"404":        {http.NotFound, "HTTP 404"},
		"500":        {serve(500, hostile), "HTTP 500"},
		"a redirect": {serve(302, hostile), "HTTP 302"},
		"a page":     {serve(200, "<html>"+hostile), "a web page?"},
		"null":       {serve(200, "null"), "not the JSON"},
		"a list":     {serve(200, `["`+hostile+`"]`), "not the JSON"},
		"wrong type": {serve(200, `{"issuer":1}`), "not the JSON"},
		"too large":  {serve(200, strings.Repeat(" ", 1<<20)+"{}"), "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.handle(openID, test.handler)
			p.handle("/.well-known/oauth-authorization-server", test.handler)
			refusal := setup(t, p).refused(t, byIssuer(p.URL), v1alpha1.ReasonDiscoveryFailed, "spec.provider.issuer: "+p.URL, test.words)
			if refusal.Retry == 0 {
				t.Error("it is never tried again")
			}
		})
	}
}

func TestAnIssuerThatCannotBeReachedIsTold(t *testing.T) {
	closed := newIDP(t)
	closed.Close()
	setup(t, closed).refused(t, byIssuer(closed.URL), v1alpha1.ReasonDiscoveryFailed, "cannot be connected to")

	untrusted := newIDP(t)
	e := setup(t, untrusted)
	e.Policy.RootCAs = nil
	e.HTTP = egress.NewClient(e.Policy)
	e.refused(t, byIssuer(untrusted.URL), v1alpha1.ReasonDiscoveryFailed, "certificate")

	e = setup(t, nil)
	e.HTTP = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
		return nil, &egress.BlockedError{Host: "idp.example", Rule: "private range"}
	})}
	if refusal := e.refused(t, byIssuer("https://idp.example"), v1alpha1.ReasonEndpointNotAllowed, "idp.example", "private range"); refusal.Retry == 0 {
		t.Error("it is not asked again: the name may lead elsewhere tomorrow")
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestHostileAddressesInMetadataAreNotTaken(t *testing.T) {
	for _, address := range []string{"http://idp.example/" + hostile, "https://10.0.0.1/" + hostile, "https://[::ffff:169.254.169.254]/"} {
		p := newIDP(t)
		p.document(openID, map[string]any{"token_endpoint": address})
		setup(t, p).refused(t, byIssuer(p.URL), v1alpha1.ReasonEndpointNotAllowed, "token_endpoint")
	}
	for _, address := range []string{hostile, "https://", "https://idp.example/#", "javascript:alert(1)"} {
		p := newIDP(t)
		p.document(openID, map[string]any{"authorization_endpoint": address + hostile})
		setup(t, p).refused(t, byIssuer(p.URL), v1alpha1.ReasonDiscoveryFailed, "authorization_endpoint")
	}
	p := newIDP(t)
	p.document(openID, map[string]any{"revocation_endpoint": "http://10.0.0.1/", "userinfo_endpoint": hostile})
	got := setup(t, p, secret("team-a", "s", "hush")).resolve(t, byIssuer(p.URL))
	if got.Endpoints.Revocation != "" || got.Endpoints.UserInfo != "" {
		t.Errorf("got %+v", got.Endpoints)
	}
}

func TestMetadataWithoutAnEndpointIsNamed(t *testing.T) {
	for field, name := range map[string]string{"endpoints.token": "token_endpoint", "endpoints.authorization": "authorization_endpoint"} {
		p := newIDP(t)
		p.document(openID, map[string]any{name: nil})
		setup(t, p).refused(t, byIssuer(p.URL), v1alpha1.ReasonProviderInvalid, "spec.provider."+field+":")
	}
}

func TestMetadataIsCachedAndOutlivesAnOutage(t *testing.T) {
	p := newIDP(t)
	p.document(openID, nil)
	e := setup(t, p, secret("team-a", "s", "hush"))
	advance := func(d time.Duration) { e.clock.SetTime(e.clock.Now().Add(d)) }
	resolve := func(asked int) {
		t.Helper()
		e.resolve(t, byIssuer(p.URL))
		if got := len(p.asked()); got != asked {
			t.Fatalf("asked %d times, want %d", got, asked)
		}
	}
	resolve(1)
	advance(59 * time.Minute)
	resolve(1)
	advance(2 * time.Minute)
	resolve(2)
	p.handle(openID, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	advance(61 * time.Minute)
	resolve(4) // both addresses fail, the last metadata is used on
	advance(29 * time.Second)
	resolve(4)
	advance(2 * time.Second)
	resolve(6)
	p.document(openID, map[string]any{"issuer": "https://evil.example"})
	advance(31 * time.Second)
	e.refused(t, byIssuer(p.URL), v1alpha1.ReasonIssuerMismatch)
}

func TestFailuresAreCachedForHalfAMinute(t *testing.T) {
	p := newIDP(t)
	e := setup(t, p, secret("team-a", "s", "hush"))
	for range 3 {
		e.refused(t, byIssuer(p.URL), v1alpha1.ReasonDiscoveryFailed)
	}
	if got := len(p.asked()); got != 2 {
		t.Errorf("asked %d times", got)
	}
	p.document(openID, nil)
	e.clock.SetTime(e.clock.Now().Add(31 * time.Second))
	e.resolve(t, byIssuer(p.URL))
}

func TestManyConnectionsShareOneRequestThatNoneCanCancel(t *testing.T) {
	p := newIDP(t)
	p.document(openID, nil)
	document := p.handlers[openID]
	started, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.handle(openID, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(started) })
		<-release
		document(w, r)
	})
	e := setup(t, p, secret("team-a", "s", "hush"))
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := e.Connection(ctx, byIssuer(p.URL))
		first <- err
	}()
	<-started
	cancel()
	wantError(t, <-first, v1alpha1.ReasonDiscoveryFailed, "interrupted")

	var wg sync.WaitGroup
	var failed atomic.Int32
	for range 50 {
		wg.Go(func() {
			if _, err := e.Connection(context.Background(), byIssuer(p.URL)); err != nil {
				failed.Add(1)
			}
		})
	}
	close(release)
	wg.Wait()
	if failed.Load() != 0 || len(p.asked()) != 1 {
		t.Errorf("%d failed, %d requests", failed.Load(), len(p.asked()))
	}
}

func TestFieldsOfMetadataThatAreOddAreAsGoodAsAbsent(t *testing.T) {
	p := newIDP(t)
	p.document(openID, map[string]any{
		"jwks_uri": 1, "mtls_endpoint_aliases": []any{"x"}, "require_pushed_authorization_requests": "yes",
		"introspection_endpoint": "http://10.0.0.1/", "device_authorization_endpoint": "https://{x}/",
	})
	got := setup(t, p, secret("team-a", "s", "hush")).resolve(t, byIssuer(p.URL)).Endpoints
	if got.Token != p.URL+"/token" || got.Introspection != "" || got.DeviceAuthorization != "" {
		t.Errorf("got %+v", got)
	}
}

func FuzzDiscovery(f *testing.F) {
	f.Add(200, []byte(`{"issuer":"https://idp.example","token_endpoint":"https://idp.example/t","authorization_endpoint":"https://idp.example/a"}`))
	f.Add(200, []byte(`{"issuer":"https://idp.example","token_endpoint":"https://127.0.0.1/`+hostile+`","authorization_endpoint":"a"}`))
	f.Add(200, []byte(`{"issuer":"`+hostile+`","token_endpoint_auth_methods_supported":[1]}`))
	f.Add(200, []byte(`{"issuer":"https://idp.example","token_endpoint":"https://idp.example/t","authorization_endpoint":"https://idp.example/a","jwks_uri":1,"mtls_endpoint_aliases":[],"pushed_authorization_request_endpoint":"http://10.0.0.1","device_authorization_endpoint":"https://{x}"}`))
	f.Add(404, []byte(hostile))
	e := setup(f, nil, secret("team-a", "s", "hush"))
	f.Fuzz(func(t *testing.T, status int, document []byte) {
		if status < 200 || status > 599 {
			return
		}
		r := &provider.Resolver{
			Reader: e.Reader, Secrets: e.Secrets, Catalog: e.Catalog, PublicURL: e.PublicURL,
			HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(document))}, nil
			})},
		}
		got, err := r.Connection(t.Context(), byIssuer("https://idp.example"))
		var refusal *provider.Error
		switch {
		case err == nil:
			for _, address := range []string{
				got.Endpoints.Token, got.Endpoints.Revocation, got.Endpoints.UserInfo, got.Endpoints.Introspection,
				got.Endpoints.DeviceAuthorization, got.Endpoints.PushedAuthorizationRequest,
			} {
				if address != "" && egress.CheckURL(egress.Policy{}, address) != nil {
					t.Fatalf("took %q", address)
				}
			}
			if !strings.HasPrefix(got.AuthorizationURL("s", "v", "n"), "https://") {
				t.Fatalf("browsers go to %q", got.Endpoints.Authorization)
			}
		case !errors.As(err, &refusal) || refusal.Reason == "" || len(refusal.Message) > 512:
			t.Fatalf("got %#v", err)
		}
	})
}

func TestHTTPIsForDevelopmentOnly(t *testing.T) {
	s := httptest.NewServer(nil)
	defer s.Close()
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"issuer":"`+s.URL+`","token_endpoint":"`+s.URL+`/t","authorization_endpoint":"`+s.URL+`/a"}`)
	})
	e := setup(t, newIDP(t), secret("team-a", "s", "hush"))
	e.refused(t, byIssuer(s.URL), v1alpha1.ReasonEndpointNotAllowed)
	e = setup(t, newIDP(t), secret("team-a", "s", "hush"))
	e.Policy.AllowHTTP = true
	e.HTTP = egress.NewClient(e.Policy)
	e.resolve(t, byIssuer(s.URL))
}
