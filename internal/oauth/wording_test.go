// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func exchange(t *testing.T, c *oauth.Client) (*oauth.Token, error) {
	t.Helper()
	return c.Exchange(t.Context(), oauth.NewSecret("the-code"), oauth.NewSecret("the-verifier"))
}

func TestRequestsAreInTheProvidersWords(t *testing.T) {
	tests := map[string]struct {
		change func(*oauth.Client)
		want   map[string]string
		header map[string]string
	}{
		"as the RFC says": {func(*oauth.Client) {}, map[string]string{
			"grant_type": "authorization_code", "code": "the-code", "redirect_uri": "https://operator.example/callback",
			"client_id": "id", "client_secret": "secret", "code_verifier": "the-verifier",
		}, map[string]string{"Content-Type": formType, "Accept": "application/json", "User-Agent": "oauth-operator"}},
		"TikTok's client_key": {func(c *oauth.Client) {
			c.Dialect.TokenNames = map[string]string{"client_id": "client_key", "code_verifier": ""}
		}, map[string]string{
			"grant_type": "authorization_code", "code": "the-code", "redirect_uri": "https://operator.example/callback",
			"client_key": "id", "client_secret": "secret",
		}, nil},
		"AWS' camelCase in JSON": {func(c *oauth.Client) {
			c.Dialect.JSON = true
			c.Dialect.TokenNames = map[string]string{
				"client_id": "clientId", "client_secret": "clientSecret", "grant_type": "grantType",
				"redirect_uri": "redirectUri", "code_verifier": "codeVerifier",
			}
		}, map[string]string{
			"grantType": "authorization_code", "code": "the-code", "redirectUri": "https://operator.example/callback",
			"clientId": "id", "clientSecret": "secret", "codeVerifier": "the-verifier",
		}, map[string]string{"Content-Type": "application/json"}},
		"Notion's Basic, JSON and header": {func(c *oauth.Client) {
			c.Authentication, c.PKCE, c.Dialect.JSON = oauth.Basic, false, true
			c.Dialect.Headers = map[string]string{"Notion-Version": "2022-06-28"}
		}, map[string]string{
			"grant_type": "authorization_code", "code": "the-code", "redirect_uri": "https://operator.example/callback",
		}, map[string]string{"Notion-Version": "2022-06-28", "Authorization": "Basic aWQ6c2VjcmV0"}},
		"Basecamp's type for grant_type": {func(c *oauth.Client) {
			c.PKCE = false
			c.ExchangeParams = map[string]string{"type": "web_server"}
			c.Dialect.TokenNames = map[string]string{"grant_type": ""}
		}, map[string]string{
			"type": "web_server", "code": "the-code", "redirect_uri": "https://operator.example/callback",
			"client_id": "id", "client_secret": "secret",
		}, nil},
		"headers that the operator has set": {func(c *oauth.Client) {
			c.Dialect.Headers = map[string]string{"user-agent": "reddit wants its own", "accept": "application/vnd.api+json"}
		}, nil, map[string]string{"User-Agent": "reddit wants its own", "Accept": "application/vnd.api+json"}},
		"names that change places": {func(c *oauth.Client) {
			c.PKCE = false
			c.Dialect.TokenNames = map[string]string{"client_id": "client_secret", "client_secret": "client_id"}
		}, map[string]string{
			"grant_type": "authorization_code", "code": "the-code", "redirect_uri": "https://operator.example/callback",
			"client_id": "secret", "client_secret": "id",
		}, nil},
		"a parameter that has the provider's name": {func(c *oauth.Client) {
			c.PKCE = false
			c.TokenParams = map[string]string{"client_key": "smuggled", "code": "smuggled", "audience": "api"}
			c.ExchangeParams = map[string]string{"audience": "exchange"}
			c.Dialect.TokenNames = map[string]string{"client_id": "client_key"}
		}, map[string]string{
			"grant_type": "authorization_code", "code": "the-code", "redirect_uri": "https://operator.example/callback",
			"client_key": "id", "client_secret": "secret", "audience": "exchange",
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, calls := scripted(t, answer(200, jsonType, fullAnswer))
			c.Authentication, c.Secret = oauth.Post, oauth.NewSecret("secret")
			test.change(c)
			if _, err := exchange(t, c); err != nil {
				t.Fatal(err)
			}
			got := only(t, calls)
			if diff := cmp.Diff(test.want, got.params); test.want != nil && diff != "" {
				t.Error(diff)
			}
			for name, want := range test.header {
				if got.header.Get(name) != want || len(got.header.Values(name)) != 1 {
					t.Errorf("%s is %q, want %q", name, got.header.Values(name), want)
				}
			}
		})
	}
}

func TestARefreshGoesWhereAndAsTheProviderWants(t *testing.T) {
	c, calls := scripted(t, answer(200, jsonType, `{"access_token":"new"}`))
	c.Endpoints.Refresh = strings.TrimSuffix(c.Endpoints.Token, "/token") + "/refresh"
	c.ExchangeParams = map[string]string{"only": "exchange"}
	c.RefreshParams = map[string]string{"set_token": "1"}
	c.Dialect.RefreshGrantType = "fb_exchange_token"
	c.Dialect.TokenNames = map[string]string{"refresh_token": "fb_exchange_token"}
	before := held()
	if _, err := c.Refresh(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	got := only(t, calls)
	want := map[string]string{"grant_type": "fb_exchange_token", "fb_exchange_token": before.RefreshToken.Reveal(), "set_token": "1"}
	if diff := cmp.Diff(want, got.params); diff != "" || got.address != "/refresh" {
		t.Errorf("%s %s", got.address, diff)
	}
}

func TestARefreshRepeatsWhatTheProviderAsksFor(t *testing.T) {
	c, calls := scripted(t, answer(200, jsonType, `{"access_token":"new"}`))
	c.RedirectURI, c.ScopeSeparator = "https://operator.example/callback", ","
	c.Dialect.RepeatRedirectURI, c.Dialect.RepeatScope = true, true
	before := held()
	before.Scopes = []string{"granted", "too"}
	if _, err := c.Refresh(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	got := only(t, calls).params
	if got["redirect_uri"] != c.RedirectURI || got["scope"] != "granted,too" {
		t.Errorf("sent %v", got)
	}
}

func TestAStaleConnectionGetsTheWholeTranslatedBodyAgain(t *testing.T) {
	var bodies []int64
	again := clientOf(func(r *http.Request) (*http.Response, error) {
		for range 2 { // as net/http does where a connection turns out to be dead
			body, err := r.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			for {
				read, err := body.Read(make([]byte, 64))
				if n += int64(read); err != nil {
					break
				}
			}
			bodies = append(bodies, n-r.ContentLength)
		}
		return nil, http.ErrServerClosed
	})
	c := registration("http://idp.example", again)
	c.Dialect.JSON = true
	_, err := c.Refresh(t.Context(), held())
	wantKind(t, err, oauth.Unreachable)
	if !cmp.Equal(bodies, []int64{0, 0}) {
		t.Errorf("bodies differ from Content-Length by %v", bodies)
	}
}
