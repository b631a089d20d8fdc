// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestClientAuthenticationDefaults(t *testing.T) {
	secretRef := confidential("id")
	choice := func(how v1alpha1.ClientAuthentication) *v1alpha1.ClientSpec {
		c := confidential("id")
		c.Authentication = how
		return c
	}
	public := &v1alpha1.ClientSpec{ID: "id"}
	tests := map[string]struct {
		client   *v1alpha1.ClientSpec
		provider v1alpha1.ClientAuthentication
		offered  []any
		want     oauth.Authentication
	}{
		"the client's own":             {choice(v1alpha1.ClientSecretPost), v1alpha1.ClientSecretBasic, nil, oauth.Post},
		"the provider's":               {secretRef, v1alpha1.ClientSecretPost, nil, oauth.Post},
		"a secret":                     {secretRef, "", nil, oauth.Basic},
		"no secret":                    {public, "", nil, oauth.None},
		"no secret whatever they like": {public, v1alpha1.ClientSecretPost, nil, oauth.None},
		"only a key is offered":        {secretRef, "", []any{"private_key_jwt", "tls_client_auth"}, oauth.PrivateKeyJWT},
		"only post is offered":         {secretRef, "", []any{"client_secret_post", "private_key_jwt"}, oauth.Post},
		"both are offered":             {secretRef, "", []any{"client_secret_post", "client_secret_basic"}, oauth.Basic},
		"neither is offered":           {secretRef, "", []any{"client_secret_jwt"}, oauth.Basic},
		"configured beats offered":     {secretRef, v1alpha1.ClientSecretBasic, []any{"client_secret_post"}, oauth.Basic},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.document(openID, map[string]any{"token_endpoint_auth_methods_supported": test.offered})
			value := "hush"
			if test.want == oauth.PrivateKeyJWT {
				value = pkcs8(keys()["P-256"])
			}
			e := setup(t, p, secret("team-a", "s", value))
			conn := connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL), ClientAuthentication: test.provider})
			conn.Spec.Client = test.client
			if got := e.resolve(t, conn).Authentication; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestClientsThatContradictThemselvesAreRefused(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	conn := connection(plain())
	conn.Spec.Client = &v1alpha1.ClientSpec{ID: "id", Authentication: v1alpha1.ClientSecretPost}
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.client.secretRef", "ClientSecretPost")

	conn = connection(plain())
	conn.Spec.Provider.ClientAuthentication = v1alpha1.ClientAuthenticationNone
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.client.authentication")

	conn = connection(plain())
	conn.Spec.Grant, conn.Spec.Client = v1alpha1.GrantClientCredentials, &v1alpha1.ClientSpec{ID: "id"}
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.client.secretRef", "ClientCredentials")
}

func TestScopesAreThoseAskedAndThoseRequired(t *testing.T) {
	rules := &v1alpha1.ScopeRules{Required: []v1alpha1.Scope{"offline_access", "openid"}, Default: []v1alpha1.Scope{"read"}}
	tests := map[string]struct {
		grant v1alpha1.GrantType
		asked []v1alpha1.Scope
		want  []string
	}{
		"none asked":            {v1alpha1.GrantAuthorizationCode, nil, []string{"offline_access", "openid", "read"}},
		"some asked":            {v1alpha1.GrantAuthorizationCode, []v1alpha1.Scope{"write", "openid"}, []string{"offline_access", "openid", "write"}},
		"grant not defaulted":   {"", nil, []string{"offline_access", "openid", "read"}},
		"client credentials":    {v1alpha1.GrantClientCredentials, []v1alpha1.Scope{"write"}, []string{"write"}},
		"client cred., default": {v1alpha1.GrantClientCredentials, nil, []string{"read"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			spec.Scopes = rules
			conn := connection(spec)
			conn.Spec.Grant, conn.Spec.Scopes = test.grant, test.asked
			got := setup(t, nil, secret("team-a", "s", "hush")).resolve(t, conn)
			if diff := cmp.Diff(test.want, got.Scopes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClientCredentialsSendNobodyAnywhere(t *testing.T) {
	spec := v1alpha1.ProviderSpec{Endpoints: &v1alpha1.Endpoints{Token: "https://idp.example/token"}, AuthorizationParams: v1alpha1.RequestParams{"a": "b"}}
	conn := connection(spec)
	conn.Spec.Grant = v1alpha1.GrantClientCredentials
	got := setup(t, nil, secret("team-a", "s", "hush")).resolve(t, conn)
	if got.RedirectURI != "" || got.CallbackPath != "" || got.AuthorizationParams != nil {
		t.Errorf("got %q and %v", got.RedirectURI, got.AuthorizationParams)
	}
}

func TestFingerprintCoversWhomATokenBelongsTo(t *testing.T) {
	p := newIDP(t)
	p.document(openID, nil)
	e := setup(t, p, secret("team-a", "s", "hush"))
	base := func() *v1alpha1.OAuthConnection {
		return connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL), Endpoints: &v1alpha1.Endpoints{Token: "https://idp.example/token"}})
	}
	first := e.resolve(t, base()).Fingerprint
	// Grants that are held already must outlive an upgrade.
	held, err := json.Marshal([]any{p.URL, "id", "", "https://idp.example/token", "", ""})
	if sum := sha256.Sum256(held); err != nil || first != hex.EncodeToString(sum[:]) {
		t.Fatalf("the fingerprint of what was there before is another: %s", first)
	}
	same := map[string]func(*v1alpha1.OAuthConnection){
		"nothing": func(*v1alpha1.OAuthConnection) {},
		"scopes":  func(c *v1alpha1.OAuthConnection) { c.Spec.Scopes = []v1alpha1.Scope{"x"} },
		"PKCE":    func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.PKCE = "None" },
		"free metadata": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x"}}
		},
		"params":         func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.TokenParams = v1alpha1.RequestParams{"a": "b"} },
		"authentication": func(c *v1alpha1.OAuthConnection) { c.Spec.Client.Authentication = v1alpha1.ClientSecretPost },
	}
	other := map[string]func(*v1alpha1.OAuthConnection){
		"client id":     func(c *v1alpha1.OAuthConnection) { c.Spec.Client.ID = "other" },
		"token":         func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.Token = "https://evil.example/token" },
		"authorization": func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.Authorization = "https://evil.example/" },
		"userInfo":      func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.UserInfo = "https://evil.example/" },
		"refresh":       func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.Refresh = "https://evil.example/" },
		"introspection": func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.Introspection = "https://evil.example/" },
		"device": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Endpoints.DeviceAuthorization = "https://evil.example/"
		},
		"pushed": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Endpoints.PushedAuthorizationRequest = "https://evil.example/"
		},
		"metadata": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: "a"}}
		},
		"metadata's pattern": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: "b"}}
		},
		"metadata's value": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "'evil.example'", Pattern: "b"}}
		},
		"revocation": func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.Endpoints.Revocation = "https://evil.example/" },
		"issuer": func(c *v1alpha1.OAuthConnection) {
			c.Spec.Provider.Issuer = ""
			c.Spec.Provider.Endpoints.Authorization = "https://idp.example/"
		},
	}
	for name, change := range same {
		conn := base()
		change(conn)
		if e.resolve(t, conn).Fingerprint != first {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	seen := map[string]string{first: "base"}
	for name, change := range other {
		conn := base()
		change(conn)
		got := e.resolve(t, conn).Fingerprint
		if of, found := seen[got]; found {
			t.Errorf("%s has the fingerprint of %s", name, of)
		}
		seen[got] = name
	}
}

func TestTheCatalogueVouchesForItsAddressesAndNotForWhatIsWrittenOverThem(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	of := func(spec v1alpha1.ProviderSpec) string { return e.resolve(t, connection(spec)).Fingerprint }
	gitlab := of(v1alpha1.ProviderSpec{Preset: "gitlab"})
	if got := of(v1alpha1.ProviderSpec{Preset: "gitlab", Parameters: map[string]string{"host": "gitlab.com"}}); got != gitlab {
		t.Error("a parameter that says what the preset says changes the fingerprint")
	}
	entry, _ := e.Catalog.Entry("gitlab")
	was := *entry.Spec.Endpoints
	entry.Spec.Endpoints.Revocation = "https://{host}/oauth/revocations"
	t.Cleanup(func() { *entry.Spec.Endpoints = was })
	corrected := setup(t, nil, secret("team-a", "s", "hush"))
	corrected.Catalog = e.Catalog
	if got := corrected.resolve(t, connection(v1alpha1.ProviderSpec{Preset: "gitlab"})).Fingerprint; got != gitlab {
		t.Error("a correction of the catalogue changes the fingerprint")
	}
	for name, spec := range map[string]v1alpha1.ProviderSpec{
		"another preset": {Preset: "github"},
		"another host":   {Preset: "gitlab", Parameters: map[string]string{"host": "gitlab.example.com"}},
		"an endpoint":    {Preset: "gitlab", Endpoints: &v1alpha1.Endpoints{Token: "https://evil.example/token"}},
		"an issuer":      {Preset: "gitlab", Issuer: "https://evil.example", Endpoints: &v1alpha1.Endpoints{Token: "https://gitlab.com/oauth/token", Authorization: "https://gitlab.com/oauth/authorize"}},
	} {
		got, err := e.Described(t.Context(), connection(spec))
		if err != nil || got.Fingerprint == gitlab {
			t.Errorf("%s does not change the fingerprint: %v", name, err)
		}
	}
}

func TestAuthorizationRequestsArePushedWhereThatCanBe(t *testing.T) {
	const pushed = "pushed_authorization_request_endpoint"
	type change = map[string]any
	for name, test := range map[string]struct {
		advertised change
		setting    string
		written    v1alpha1.EndpointURL
		loopback   bool
		want       string // path; "refused"
	}{
		"advertised":             {change{pushed: "/par"}, "", "", false, "/par"},
		"required":               {change{pushed: "/par", "require_pushed_authorization_requests": true}, "Auto", "", false, "/par"},
		"not advertised":         {nil, "", "", false, ""},
		"switched off":           {change{pushed: "/par"}, "None", "", false, ""},
		"written":                {nil, "", "/mine", false, "/mine"},
		"loopback":               {change{pushed: "/par"}, "", "", true, ""},
		"loopback, required":     {change{pushed: "/par", "require_pushed_authorization_requests": true}, "", "", true, "refused"},
		"loopback, switched off": {change{pushed: "/par", "require_pushed_authorization_requests": true}, "None", "", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			if path, found := test.advertised[pushed]; found {
				test.advertised[pushed] = p.URL + path.(string)
			}
			p.document(openID, test.advertised)
			spec := v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL), PushedAuthorization: test.setting}
			if test.written != "" {
				spec.Endpoints = &v1alpha1.Endpoints{PushedAuthorizationRequest: v1alpha1.EndpointURL(p.URL) + test.written}
			}
			conn := connection(spec)
			if test.loopback {
				conn.Spec.Redirect = v1alpha1.RedirectLoopback
			}
			e := setup(t, p, secret("team-a", "s", "hush"))
			if test.want == "refused" {
				e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.redirect:", "use Hosted")
				return
			}
			want := test.want
			if want != "" {
				want = p.URL + want
			}
			if got := e.resolve(t, conn).Endpoints.PushedAuthorizationRequest; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestLoopbackNeedsTheCodeUnderItsOwnName(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	spec := plain()
	spec.AuthorizationResponse = &v1alpha1.AuthorizationResponseRules{Code: "auth_code"}
	conn := connection(spec)
	e.resolve(t, conn)
	conn.Spec.Redirect = v1alpha1.RedirectLoopback
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.redirect:", "auth_code", "use Hosted")
}

func TestGrantsHaveWhatTheyNeed(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	conn := connection(plain())
	conn.Spec.Grant = v1alpha1.GrantDeviceCode
	e.refused(t, conn, v1alpha1.ReasonProviderInvalid, "spec.provider.endpoints.deviceAuthorization:")
	conn.Spec.Provider.Endpoints = &v1alpha1.Endpoints{Token: "https://idp.example/token", DeviceAuthorization: "https://idp.example/device"}
	conn.Spec.Provider.Scopes = &v1alpha1.ScopeRules{Required: []v1alpha1.Scope{"offline_access"}}
	got := e.resolve(t, conn)
	if got.RedirectURI != "" || got.CallbackPath != "" || len(got.Scopes) != 1 {
		t.Errorf("got %q and %v", got.RedirectURI, got.Scopes)
	}
	conn.Spec.Client = &v1alpha1.ClientSpec{ID: "id"}
	e.resolve(t, conn)
	conn.Spec.Client = nil
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.client")
}
