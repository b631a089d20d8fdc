// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// offline is what a confidential client of the code grant asks for. oidc-provider issues no refresh
// token unless the person is asked anew.
const offline = `
client: {id: app, secretRef: {name: client, key: client-secret}}
grant: AuthorizationCode
redirect: Hosted
scopes: [openid, email, offline_access]
authorizationParams: {prompt: consent}
`

// app registers a client of the code grant that authenticates in some way.
func app(method string, more secondopinion.Client) secondopinion.Client {
	registered := secondopinion.Client{
		"client_id": "app", "redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": method,
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	}
	for name, value := range more {
		registered[name] = value
	}
	return registered
}

func secretApp(method string) secondopinion.Client {
	return app(method, secondopinion.Client{"client_secret": "s3cret"})
}

func withSecret(r *rig) *rig {
	r.Helper()
	r.secret("client", map[string][]byte{"client-secret": []byte("s3cret")})
	return r
}

func TestAConnectionLivesFromConsentToRevocation(t *testing.T) {
	for name, row := range map[string]struct {
		method     string
		requirePAR bool
		spec       string
	}{
		"basic":                  {"client_secret_basic", false, offline},
		"basic, PAR required":    {"client_secret_basic", true, offline},
		"basic, PAR not used":    {"client_secret_basic", false, offline + "provider: {issuer: ISSUER, account: userInfo.email, pushedAuthorization: None}"},
		"post, PAR required":     {"client_secret_post", true, strings.Replace(offline, "{id: app,", "{id: app, authentication: ClientSecretPost,", 1)},
		"public, PAR required":   {"none", true, strings.Replace(offline, ", secretRef: {name: client, key: client-secret}", ", authentication: None", 1)},
		"more params in the PAR": {"client_secret_basic", true, strings.Replace(offline, "{prompt: consent}", "{prompt: consent, max_age: '600', login_hint: jane}", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			registered := app(row.method, nil)
			if row.method != "none" {
				registered = secretApp(row.method)
			}
			r := withSecret(node(t, newAuthority(t), secondopinion.Options{
				Clients: []secondopinion.Client{registered}, RequirePAR: row.requirePAR, AccessTokenLifetime: 2 * time.Minute,
			}))
			found, c := r.resolved(row.spec)
			token := r.connected(found, c)
			if left := time.Until(token.Expiry); left < time.Minute || left > 2*time.Minute || token.RefreshToken.IsZero() {
				t.Fatalf("the token lives for %s", left)
			}
			if account, err := found.Account(t.Context(), token, nil); account != "jane@example.com" || err != nil {
				t.Errorf("account %q, %v", account, err)
			}
			first := token
			token = r.refreshed(c, token)
			if row.method != "none" { // only those who authenticate may ask
				if answer := r.active(c, token); !answer.Active || answer.Expiry.Sub(token.Expiry).Abs() > 5*time.Second {
					t.Errorf("introspection: %+v, want the expiry %s", answer, token.Expiry)
				}
			}
			if err := c.Revoke(t.Context(), token); err != nil {
				t.Error(err)
			}
			_, err := c.Refresh(t.Context(), token)
			r.wantKind(err, oauth.Reauthorize, "invalid_grant")
			_, err = c.Refresh(t.Context(), first)
			r.wantKind(err, oauth.Reauthorize, "invalid_grant")
		})
	}
}

func TestASpentRefreshTokenEndsTheGrant(t *testing.T) {
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{secretApp("client_secret_basic")}}))
	found, c := r.resolved(offline)
	first := r.connected(found, c)
	second := r.refreshed(c, first)
	if second.RefreshToken.Reveal() == first.RefreshToken.Reveal() {
		t.Fatal("the refresh token was not rotated")
	}
	_, err := c.Refresh(t.Context(), first)
	r.wantKind(err, oauth.Reauthorize, "invalid_grant")
	_, err = c.Refresh(t.Context(), second) // the provider takes it for stolen
	r.wantKind(err, oauth.Reauthorize, "invalid_grant")
}

func TestACodeIsGoodOnceAndWithItsVerifierOnly(t *testing.T) {
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{secretApp("client_secret_basic")}}))
	_, c := r.resolved(offline)
	verifier := oauth.Random()
	response := r.consent(c, verifier, oauth.Random())
	_, err := c.Exchange(t.Context(), response.Code, oauth.NewSecret(oauth.Random()))
	r.wantKind(err, oauth.Reauthorize, "invalid_grant")
	response = r.consent(c, verifier, oauth.Random())
	if _, err := c.Exchange(t.Context(), response.Code, oauth.NewSecret(verifier)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Exchange(t.Context(), response.Code, oauth.NewSecret(verifier))
	r.wantKind(err, oauth.Reauthorize, "invalid_grant")
}

func TestAPushThatIsRefusedSaysWhy(t *testing.T) {
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{
		Clients: []secondopinion.Client{secretApp("client_secret_basic")}, RequirePAR: true,
	}))
	authorize := func(spec string) error {
		_, c := r.resolved(spec)
		_, err := c.Authorize(t.Context(), oauth.Random(), oauth.Random(), oauth.Random())
		return err
	}
	r.wantKind(authorize(strings.Replace(offline, "{prompt: consent}", "{prompt: none of these}", 1)), oauth.Misconfigured, "invalid_request")
	r.secret("client", map[string][]byte{"client-secret": []byte("wrong")})
	r.wantKind(authorize(offline), oauth.ClientRejected, "invalid_client")
}

func TestATokenIsForTheResourceThatWasAskedFor(t *testing.T) {
	const resource = "https://api.example/orders"
	robot := secondopinion.Client{
		"client_id": "robot", "client_secret": "s3cret", "grant_types": []string{"client_credentials"},
		"redirect_uris": []string{}, "response_types": []string{},
	}
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{
		Clients: []secondopinion.Client{secretApp("client_secret_basic"), robot}, RequirePAR: true,
	}))
	for name, spec := range map[string]string{
		"code": strings.Replace(offline, "{prompt: consent}", "{prompt: consent, resource: '"+resource+"'}", 1) + "tokenParams: {resource: '" + resource + "'}",
		"client credentials": `
client: {id: robot, secretRef: {name: client, key: client-secret}}
grant: ClientCredentials
tokenParams: {resource: '` + resource + `'}
`} {
		t.Run(name, func(t *testing.T) {
			found, c := r.resolved(spec)
			var token *oauth.Token
			if c.RedirectURI != "" {
				token = r.connected(found, c)
				token = r.refreshed(c, token)
			} else {
				var err error
				if token, err = r.granted(string(v1alpha1.GrantClientCredentials), c); err != nil {
					t.Fatal(err)
				}
			}
			claims := (&oauth.Token{IDToken: token.AccessToken}).Claims() // a JWT, too
			if claims["aud"] != resource {
				t.Errorf("the token is for %v", claims["aud"])
			}
		})
	}
}

func TestAResponseOfAnotherIssuerIsNotTheProviders(t *testing.T) {
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{secretApp("client_secret_basic")}}))
	_, c := r.resolved(offline)
	if !c.IssInResponse || c.IsIssuer("") || c.IsIssuer("https://evil.example") || !c.IsIssuer(r.issuer) {
		t.Error("iss is not held against what the provider promises (RFC 9207)")
	}
	page := r.walk(c.AuthorizationURL(oauth.Random(), oauth.Random(), ""), "")
	if page.Status != http.StatusSeeOther && page.Status != http.StatusFound {
		t.Errorf("the browser ended with %d", page.Status)
	}
}

func TestAProviderThatWantsPushedRequestsGetsNoOthers(t *testing.T) {
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{
		Clients: []secondopinion.Client{secretApp("client_secret_basic")}, RequirePAR: true,
	}))
	_, c := r.resolved(offline + "provider: {issuer: ISSUER, pushedAuthorization: None}")
	address, err := c.Authorize(t.Context(), oauth.Random(), oauth.Random(), oauth.Random())
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(r.walk(address, "").Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	response, ok := oauth.ParseResponse(location.Query(), "")
	if !ok || response.Error != "invalid_request" || !c.IsIssuer(response.Issuer) {
		t.Errorf("error %q of %q", response.Error, response.Issuer)
	}
	// What the plugin hands to the browser cannot be pushed before: it has a state of the plugin's own.
	if reason := r.refusal(strings.Replace(offline, "Hosted", "Loopback", 1)); reason != v1alpha1.ReasonClientInvalid {
		t.Errorf("with redirect Loopback the reason is %s", reason)
	}
}
