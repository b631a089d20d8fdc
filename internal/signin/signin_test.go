// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func TestAPersonSignsInAndReturnsToTheirPage(t *testing.T) {
	alice := idp.DefaultUser()
	alice.Claims = map[string]any{"groups": []string{"ops", "dev", "ops", "system:masters"}}
	r := newRig(t, idp.Options{TLS: true, RequirePKCE: true, Users: []idp.User{alice}}, func(c *Config) {
		c.GroupsClaim, c.GroupsPrefix = "groups", "oidc:"
	})
	id, returnTo, err := r.signIn(t)
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{Username: r.idp.Issuer() + "#alice", Groups: []string{"oidc:dev", "oidc:ops", "oidc:system:masters"}}
	if diff := cmp.Diff(want, id); diff != "" || returnTo != page {
		t.Errorf("returned to %s: %s", returnTo, diff)
	}
	cookie, err := r.SealSession(id)
	if err != nil {
		t.Fatal(err)
	}
	replica := newProvider(t, r.config, r.keyring, r.clock, r.idp.CA())
	if held, err := replica.OpenSession(t.Context(), cookie); err != nil || !cmp.Equal(held, id) {
		t.Errorf("on another replica: %v, %v", held, err)
	}
}

func TestEveryWayOfAuthenticatingIsTriedOnce(t *testing.T) {
	post, public := idp.DefaultClient(), idp.DefaultClient()
	post.AuthMethod, public.Secret = idp.Post, ""
	for name, test := range map[string]struct {
		client  idp.Client
		methods []string
		change  func(*Config)
		want    idp.AuthMethod
	}{
		"unsaid": {client: idp.DefaultClient(), want: idp.Basic},
		"both":   {client: idp.DefaultClient(), methods: []string{"client_secret_post", "client_secret_basic"}, want: idp.Basic},
		"post":   {client: post, methods: []string{"client_secret_post"}, want: idp.Post},
		"public": {client: public, change: func(c *Config) { c.ClientSecret = nil }, want: idp.None},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, idp.Options{Clients: []idp.Client{test.client}, RequirePKCE: true}, test.change)
			r.idp.Fault(idp.Discovery, -1, setMetadata("token_endpoint_auth_methods_supported", test.methods))
			if _, _, err := r.signIn(t); err != nil {
				t.Error(err)
			}
			if requests := r.idp.Requests(idp.Token); len(requests) != 1 || requests[0].AuthMethod != test.want {
				t.Errorf("token requests: %v", requests)
			}
		})
	}
}

func TestScopesAreThoseThatTheProviderKnows(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*Config)
		offered []string
		want    string
	}{
		"by default":        {want: "openid profile email"},
		"groups offered":    {func(c *Config) { c.GroupsClaim = "groups" }, []string{"openid", "groups"}, "openid profile email groups"},
		"groups unknown":    {func(c *Config) { c.GroupsClaim = "groups" }, []string{"openid"}, "openid profile email"},
		"groups not needed": {nil, []string{"openid", "groups"}, "openid profile email"},
		"as configured":     {func(c *Config) { c.Scopes = []string{"a", "b"} }, []string{"groups"}, "openid a b"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, idp.Options{}, test.change)
			r.idp.Fault(idp.Discovery, 1, setMetadata("scopes_supported", test.offered))
			asked, err := url.Parse(r.begin(t).Address)
			if err != nil || asked.Query().Get("scope") != test.want {
				t.Errorf("asked for %q, want %q (%v)", asked.Query().Get("scope"), test.want, err)
			}
		})
	}
}

func TestOnlyPagesOfOurOwnAreReturnedTo(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	for _, path := range []string{
		"", "/", "//evil.example/connect/a/b", "https://evil.example/connect/a/b", "/connect/../..//evil.example?x", "/\\evil.example",
		"/connect/a/b\\c", "/connect/a/b?c=d", "/connect/a/b#c", "/connect/a/b%0d", "/connect/a/b\r\nSet-Cookie: x", "connect/a/b",
	} {
		if start, err := r.Begin(t.Context(), path); err == nil {
			t.Errorf("%q: begun at %s", path, start.Address)
		}
	}
	if n := r.idp.Count(idp.Discovery); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestTheAuthorizationRequestIsBoundToOneSignIn(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	seen := map[string]bool{}
	for range 2 {
		start := r.begin(t)
		address, err := url.Parse(start.Address)
		if err != nil {
			t.Fatal(err)
		}
		query := address.Query()
		if query.Get("code_challenge_method") != "S256" || query.Get("response_type") != "code" || query.Get("redirect_uri") != r.config.RedirectURI {
			t.Errorf("asked with %v", query)
		}
		for _, value := range []string{query.Get("state"), query.Get("nonce"), query.Get("code_challenge"), start.ID, start.Cookie} {
			if len(value) < 16 || seen[value] {
				t.Errorf("%q is short or was used before", value)
			}
			seen[value] = true
		}
		if len(start.Cookie) > 1024 || strings.Contains(start.Cookie, query.Get("state")) {
			t.Errorf("the cookie has %d bytes: %s", len(start.Cookie), start.Cookie)
		}
	}
}

func TestADeniedSignInIsSaidToBe(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	start := r.begin(t)
	_, _, err := r.Finish(t.Context(), start.Cookie, r.back(t, start, (*idp.Browser).Deny))
	r.expect(t, err, Denied)
	if n := r.idp.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

func TestErrorsOfTheProviderAreSortedAndNotRepeated(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	for code, kind := range map[string]Kind{
		"access_denied": Denied, "login_required": Denied,
		"invalid_scope": Misconfigured, "unauthorized_client": Misconfigured,
		"server_error": ProviderDown, "temporarily_unavailable": ProviderDown, idp.ProviderText: ProviderDown,
	} {
		start := r.begin(t)
		address, _ := url.Parse(start.Address)
		_, _, err := r.Finish(t.Context(), start.Cookie, url.Values{
			"state": {address.Query().Get("state")}, "iss": {r.idp.Issuer()}, "error": {code}, "error_description": {idp.ProviderText},
		})
		r.expect(t, err, kind)
	}
}

func TestATokenEndpointThatFailsIsSaidWithoutItsWords(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	for name, test := range map[string]struct {
		endpoint idp.Endpoint
		fault    idp.Fault
		want     Kind
	}{
		"500":            {idp.Token, idp.Status(500, idp.ProviderText), ProviderDown},
		"a page":         {idp.Token, idp.HTML(200), ProviderDown},
		"cut":            {idp.Token, idp.Drop(), ProviderDown},
		"huge":           {idp.Token, idp.HugeBody(1 << 20), ProviderDown},
		"bomb":           {idp.Token, idp.GzipBomb(1 << 30), ProviderDown},
		"redirect":       {idp.Token, idp.Redirect(307, "http://127.0.0.1:1/"), ProviderDown},
		"invalid_client": {idp.Token, idp.OAuthError("invalid_client", 401), Misconfigured},
		"invalid_grant":  {idp.Token, idp.OAuthError("invalid_grant", 400), Expired},
		"no ID token":    {idp.Token, idp.Rewrite(func(body map[string]any) { delete(body, "id_token") }), BadResponse},
		"keys fail":      {idp.Keys, idp.Status(503, idp.ProviderText), ProviderDown},
		"keys cut":       {idp.Keys, idp.Drop(), ProviderDown},
		"keys no JSON":   {idp.Keys, idp.HTML(200), ProviderDown},
	} {
		t.Run(name, func(t *testing.T) {
			start := r.begin(t)
			query := r.back(t, start, (*idp.Browser).Connect)
			r.idp.Fault(test.endpoint, -1, test.fault)
			defer r.idp.ClearFaults()
			// A replica that has not fetched the keys yet.
			replica := newProvider(t, r.config, r.keyring, r.clock, nil)
			_, _, err := replica.Finish(t.Context(), start.Cookie, query)
			r.expect(t, err, test.want)
		})
	}
}

func TestAUsedCodeStartsAgain(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	start := r.begin(t)
	query := r.back(t, start, (*idp.Browser).Connect)
	if _, _, err := r.Finish(t.Context(), start.Cookie, query); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Finish(t.Context(), start.Cookie, query)
	r.expect(t, err, Expired)
}

func TestASignInTakesTenMinutesAtMost(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	start := r.begin(t)
	query := r.back(t, start, (*idp.Browser).Connect)
	r.clock.SetTime(r.clock.Now().Add(Lifetime))
	_, _, err := r.Finish(t.Context(), start.Cookie, query)
	r.expect(t, err, Expired)
	if n := r.idp.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
	r.clock.SetTime(r.clock.Now().Add(-time.Second))
	if _, _, err = r.Finish(t.Context(), start.Cookie, query); err != nil {
		t.Errorf("a second earlier: %v", err)
	}
}

func TestNoTokenIsKept(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	id, _, err := r.signIn(t)
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := r.SealSession(id)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(cookie, id.Username) || slices.Contains(r.idp.Issued(), cookie) || len(cookie) > 300 {
		t.Errorf("the session is %s", cookie)
	}
}
