// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// The pair of RFC 7636 appendix B.
const (
	rfcVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	rfcChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func query(t *testing.T, c *oauth.Client) url.Values {
	t.Helper()
	u, err := url.Parse(c.AuthorizationURL("the-state", rfcVerifier, "the-nonce"))
	if err != nil || u.Scheme != "https" || u.Host != "idp.example" || u.Path != "/authorize" {
		t.Fatalf("got %v, %v", u, err)
	}
	return u.Query()
}

func TestAuthorizationURLHoldsWhatTheProtocolAsks(t *testing.T) {
	c := registration("https://idp.example", nil)
	want := url.Values{
		"response_type": {"code"}, "client_id": {"id"}, "redirect_uri": {c.RedirectURI}, "state": {"the-state"},
		"scope": {"read write"}, "code_challenge": {rfcChallenge}, "code_challenge_method": {"S256"},
	}
	if diff := cmp.Diff(want, query(t, c)); diff != "" {
		t.Error(diff)
	}
}

func TestNonceIsSentWithOpenIDOnly(t *testing.T) {
	c := registration("https://idp.example", nil)
	if query(t, c).Has("nonce") {
		t.Error("nonce without openid")
	}
	c.Scopes = append(c.Scopes, "openid")
	if query(t, c).Get("nonce") != "the-nonce" {
		t.Error("no nonce with openid")
	}
}

func TestAuthorizationURLFollowsTheProvidersWays(t *testing.T) {
	c := registration("https://idp.example", nil)
	c.Endpoints.Authorization += "?tenant=a&state=theirs"
	c.PKCE, c.ScopeSeparator = false, ","
	c.AuthorizationParams = map[string]string{"access_type": "offline", "state": "smuggled", "redirect_uri": "https://evil.example"}
	want := url.Values{
		"tenant": {"a"}, "access_type": {"offline"}, "response_type": {"code"}, "client_id": {"id"},
		"redirect_uri": {c.RedirectURI}, "state": {"the-state"}, "scope": {"read,write"},
	}
	if diff := cmp.Diff(want, query(t, c)); diff != "" {
		t.Error(diff)
	}
	c.Scopes = nil
	if query(t, c).Has("scope") {
		t.Error("an empty scope is sent")
	}
	for _, broken := range []string{"", "http://[::1", "/relative"} {
		c.Endpoints.Authorization = broken
		if got := c.AuthorizationURL("s", "v", "n"); got != "" {
			t.Errorf("%q gives %q", broken, got)
		}
	}
}

func TestAuthorizationRequestsAreInTheProvidersWords(t *testing.T) {
	c := registration("https://idp.example", nil)
	c.ScopeSeparator, c.PKCE = ",", false
	c.AuthorizationParams = map[string]string{"client_key": "smuggled", "owner": "user"}
	c.Dialect.AuthorizationNames = map[string]string{"client_id": "client_key", "scope": "user_scope", "response_type": ""}
	want := url.Values{
		"client_key": {"id"}, "redirect_uri": {c.RedirectURI}, "state": {"the-state"}, "user_scope": {"read,write"}, "owner": {"user"},
	}
	if diff := cmp.Diff(want, query(t, c)); diff != "" {
		t.Error(diff)
	}
	c.Dialect.AuthorizationNames = map[string]string{"state": "st"}
	if got := query(t, c); got.Get("st") != "the-state" || got.Has("state") {
		t.Errorf("got %v", got)
	}
}

func authorize(t *testing.T, c *oauth.Client) (*url.URL, error) {
	t.Helper()
	address, err := c.Authorize(t.Context(), "the-state", rfcVerifier, "the-nonce")
	if err != nil {
		return nil, err
	}
	u, parsed := url.Parse(address)
	if parsed != nil {
		t.Fatal(parsed)
	}
	return u, nil
}

func TestAnAuthorizationRequestIsPushedWhereTheProviderTakesIt(t *testing.T) {
	const reference = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"
	c, calls := scripted(t, answer(201, jsonType, `{"request_uri":"`+reference+`","expires_in":60}`))
	c.Endpoints.Authorization += "?tenant=a"
	c.AuthorizationParams = map[string]string{"acr_values": "2", "resource": "https://api.example"}
	c.Authentication, c.Scopes = oauth.Post, []string{"openid"}
	c.Dialect.AuthorizationNames = map[string]string{"scope": "scp"}
	c.Dialect.JSON = true // of token requests alone
	u, err := authorize(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(url.Values{"tenant": {"a"}, "client_id": {"id"}, "request_uri": {reference}}, u.Query()); diff != "" {
		t.Errorf("the person is sent with %s", diff)
	}
	got := only(t, calls)
	want := map[string]string{
		"response_type": "code", "client_id": "id", "client_secret": c.Secret.Reveal(), "redirect_uri": c.RedirectURI, "state": "the-state",
		"nonce": "the-nonce", "scp": "openid", "code_challenge": rfcChallenge, "code_challenge_method": "S256",
		"acr_values": "2", "resource": "https://api.example",
	}
	if diff := cmp.Diff(want, got.params); diff != "" || got.address != "/par" {
		t.Errorf("pushed to %s: %s", got.address, diff)
	}
}

func TestWithoutAPushedRequestNobodyIsSentAnywhere(t *testing.T) {
	for body, kind := range map[string]oauth.Kind{
		`{"error":"invalid_request"}`: oauth.Misconfigured, `{"error":"invalid_client"}`: oauth.ClientRejected, page: oauth.Unexpected, `{}`: oauth.Unexpected,
		`{"request_uri":""}`: oauth.Unexpected, `{"request_uri":["a"]}`: oauth.Unexpected, `{"request_uri":"a\nb"}`: oauth.Unexpected,
		`{"request_uri":"` + strings.Repeat("x", 3000) + `"}`: oauth.Unexpected,
	} {
		c, _ := scripted(t, answer(200, jsonType, body))
		_, err := authorize(t, c)
		wantKind(t, err, kind)
	}
	c, _ := scripted(t, answer(503, jsonType, ""))
	_, err := authorize(t, c)
	wantKind(t, err, oauth.Transient)
}

func TestAuthorizeIsTheAddressWhereNothingIsPushed(t *testing.T) {
	c := registration("https://idp.example", nil)
	u, err := authorize(t, c)
	if err != nil || u.String() != c.AuthorizationURL("the-state", rfcVerifier, "the-nonce") {
		t.Errorf("got %v, %v", u, err)
	}
	c.Endpoints.Authorization = "/relative"
	_, err = authorize(t, c)
	wantKind(t, err, oauth.Misconfigured)
}

func idToken(claims string) *oauth.Token {
	return &oauth.Token{IDToken: oauth.NewSecret("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")}
}

func TestIDTokenMustBelongToTheRequest(t *testing.T) {
	c := &oauth.Client{Issuer: "https://accounts.google.com", ID: "id", Scopes: []string{"openid"}}
	tests := map[string]struct {
		token *oauth.Token
		ok    bool
	}{
		"none":               {&oauth.Token{}, true},
		"ours":               {idToken(`{"iss":"https://accounts.google.com","aud":"id","nonce":"n"}`), true},
		"issuer, no scheme":  {idToken(`{"iss":"accounts.google.com","aud":"id","nonce":"n"}`), true},
		"several audiences":  {idToken(`{"iss":"https://accounts.google.com","aud":["x","id"],"nonce":"n"}`), true},
		"another nonce":      {idToken(`{"iss":"https://accounts.google.com","aud":"id","nonce":"m"}`), false},
		"no nonce":           {idToken(`{"iss":"https://accounts.google.com","aud":"id"}`), false},
		"another audience":   {idToken(`{"iss":"https://accounts.google.com","aud":"x","nonce":"n"}`), false},
		"no audience":        {idToken(`{"iss":"https://accounts.google.com","nonce":"n"}`), false},
		"another issuer":     {idToken(`{"iss":"https://evil.example","aud":"id","nonce":"n"}`), false},
		"not a JSON":         {idToken(`<html>`), false},
		"not a token":        {&oauth.Token{IDToken: oauth.NewSecret("x")}, false},
		"not base64":         {&oauth.Token{IDToken: oauth.NewSecret("a.!.c")}, false},
		"JSON but no object": {idToken(`[]`), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := c.CheckIDToken(test.token, "n"); (err == nil) != test.ok || err != nil && !errors.Is(err, oauth.ErrIDToken) {
				t.Errorf("got %v", err)
			}
		})
	}
}
