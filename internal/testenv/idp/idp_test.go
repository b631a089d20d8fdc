// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const redirectURI = "http://127.0.0.1:1/callback/test"

func start(t *testing.T, o idp.Options) *idp.Provider {
	t.Helper()
	p, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func config(p *idp.Provider) *oauth2.Config {
	c := idp.DefaultClient()
	return &oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: redirectURI,
		Scopes: []string{"openid", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{
			AuthURL: p.URL(idp.Authorize), TokenURL: p.URL(idp.Token), AuthStyle: oauth2.AuthStyleInHeader,
		},
	}
}

func withClient(t *testing.T, p *idp.Provider) context.Context {
	return context.WithValue(t.Context(), oauth2.HTTPClient, p.HTTPClient())
}

// authorize lets alice approve and returns what came back to the client.
func authorize(t *testing.T, p *idp.Provider, options ...oauth2.AuthCodeOption) url.Values {
	t.Helper()
	browser := &idp.Browser{CA: p.CA(), Until: func(next *url.URL) bool { return strings.HasPrefix(next.String(), redirectURI) }}
	page, err := browser.Connect(t.Context(), config(p).AuthCodeURL("the-state", options...), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(page.Header.Get("Location"))
	if err != nil || page.Header.Get("Location") == "" {
		t.Fatalf("no redirect but %d %s (%v)", page.Status, page.Body, err)
	}
	return location.Query()
}

func connect(t *testing.T, p *idp.Provider) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	answer := authorize(t, p, oauth2.S256ChallengeOption(verifier))
	token, err := config(p).Exchange(withClient(t, p), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func refresh(t *testing.T, p *idp.Provider, refreshToken string) (*oauth2.Token, error) {
	return config(p).TokenSource(withClient(t, p), &oauth2.Token{RefreshToken: refreshToken}).Token()
}

// code is the OAuth error code of an error, or the error's own words.
func code(err error) string {
	var retrieve *oauth2.RetrieveError
	if errors.As(err, &retrieve) {
		return retrieve.ErrorCode
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func get(t *testing.T, p *idp.Provider, e idp.Endpoint, token string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL(e), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := p.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body map[string]any
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body
}

func TestAPersonConnectsWithPKCE(t *testing.T) {
	for name, tls := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			p := start(t, idp.Options{TLS: tls, RequirePKCE: true})
			token := connect(t, p)
			if token.RefreshToken == "" || token.Extra("id_token") == nil || token.ExpiresIn != 30 {
				t.Errorf("incomplete answer: expires_in %d", token.ExpiresIn)
			}
			status, body := get(t, p, idp.API, token.AccessToken)
			if status != http.StatusOK || body["account"] != "alice" || body["scope"] != "openid email offline_access" {
				t.Errorf("resource: %d %v", status, body)
			}
			if status, body := get(t, p, idp.UserInfo, token.AccessToken); body["email"] != "alice@example.com" {
				t.Errorf("userinfo: %d %v", status, body)
			}
		})
	}
}

func TestAUsersClaimsAreInIDTokenAndUserInfo(t *testing.T) {
	alice := idp.DefaultUser()
	alice.Claims = map[string]any{
		"groups": []string{"dev", "ops"}, "email_verified": "no", "preferred_username": "Alice", "name": nil, "sub": "mallory",
	}
	p := start(t, idp.Options{Users: []idp.User{alice}})
	token := connect(t, p)
	raw, _ := token.Extra("id_token").(string)
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	inToken := map[string]any{}
	if err := parsed.UnsafeClaimsWithoutVerification(&inToken); err != nil {
		t.Fatal(err)
	}
	_, inUserInfo := get(t, p, idp.UserInfo, token.AccessToken)
	for where, held := range map[string]map[string]any{"ID token": inToken, "userinfo": inUserInfo} {
		_, named := held["name"]
		groups, _ := held["groups"].([]any)
		if len(groups) != 2 || held["email_verified"] != "no" || held["preferred_username"] != "Alice" || named || held["sub"] != "alice" {
			t.Errorf("%s: %v", where, held)
		}
	}
}

func TestTheProviderSignsWhatItWouldNotIssue(t *testing.T) {
	p := start(t, idp.Options{})
	token, err := p.Sign(map[string]any{"iss": "https://another.example"})
	if err != nil {
		t.Fatal(err)
	}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(t.Context(), p.HTTPClient()), p.URL(idp.Keys))
	if payload, err := keys.VerifySignature(t.Context(), token); err != nil || string(payload) != `{"iss":"https://another.example"}` {
		t.Errorf("got %s, %v", payload, err)
	}
}

func TestTheAuthorizationResponseNamesTheIssuer(t *testing.T) {
	p := start(t, idp.Options{})
	answer := authorize(t, p)
	if answer.Get("iss") != p.Issuer() || answer.Get("state") != "the-state" {
		t.Errorf("got %v", answer)
	}
	_, discovery := get(t, p, idp.Discovery, "")
	if discovery["issuer"] != p.Issuer() || discovery["authorization_response_iss_parameter_supported"] != true {
		t.Errorf("discovery: %v", discovery)
	}
	for key, e := range map[string]idp.Endpoint{
		"authorization_endpoint": idp.Authorize, "token_endpoint": idp.Token, "revocation_endpoint": idp.Revocation,
		"userinfo_endpoint": idp.UserInfo, "jwks_uri": idp.Keys,
	} {
		if discovery[key] != p.URL(e) {
			t.Errorf("%s: %v", key, discovery[key])
		}
	}
}

func TestIDTokensAreSignedWithAPublishedKey(t *testing.T) {
	p := start(t, idp.Options{})
	held := connect(t, p)
	response, err := p.HTTPClient().Get(p.URL(idp.Keys))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var keys jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&keys); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(held.Extra("id_token").(string), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		jwt.Claims
		Email string `json:"email"`
	}
	if err := token.Claims(keys, &claims); err != nil {
		t.Fatal(err)
	}
	expected := jwt.Expected{Issuer: p.Issuer(), Subject: "alice", AnyAudience: jwt.Audience{idp.DefaultClient().ID}, Time: time.Now()}
	if err := claims.Validate(expected); err != nil || claims.Email != "alice@example.com" {
		t.Errorf("%+v: %v", claims, err)
	}
}

func TestAClientHasOnlyItsGrants(t *testing.T) {
	client := idp.DefaultClient()
	client.Grants = []string{"authorization_code"}
	p := start(t, idp.Options{Clients: []idp.Client{client}})
	if held := connect(t, p); held.RefreshToken != "" {
		t.Error("a refresh token for a client without that grant")
	}
	c := clientcredentials.Config{ClientID: client.ID, ClientSecret: client.Secret, TokenURL: p.URL(idp.Token), AuthStyle: oauth2.AuthStyleInHeader}
	if _, err := c.Token(t.Context()); code(err) != "unauthorized_client" {
		t.Errorf("client_credentials: %v", err)
	}
}

func TestAPersonMayRefuse(t *testing.T) {
	p := start(t, idp.Options{})
	browser := &idp.Browser{Until: func(next *url.URL) bool { return strings.HasPrefix(next.String(), redirectURI) }}
	page, err := browser.Deny(t.Context(), config(p).AuthCodeURL("the-state"), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(page.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if q := location.Query(); q.Get("error") != "access_denied" || q.Get("state") != "the-state" || q.Get("iss") != p.Issuer() {
		t.Errorf("got %s", location)
	}
}

func TestAWrongPasswordEndsTheWalkOnTheLoginPage(t *testing.T) {
	p := start(t, idp.Options{})
	page, err := new(idp.Browser).Connect(t.Context(), config(p).AuthCodeURL("s"), idp.User{Name: "alice", Password: "guess"})
	if err != nil || page.Status != http.StatusForbidden {
		t.Errorf("got %v, %v", page, err)
	}
}

func TestACodeIsGoodForOneUseAndNeedsItsVerifier(t *testing.T) {
	p := start(t, idp.Options{})
	verifier := oauth2.GenerateVerifier()
	first := authorize(t, p, oauth2.S256ChallengeOption(verifier)).Get("code")
	if _, err := config(p).Exchange(t.Context(), first, oauth2.VerifierOption(oauth2.GenerateVerifier())); code(err) != "invalid_grant" {
		t.Errorf("wrong verifier: %v", err)
	}
	if _, err := config(p).Exchange(t.Context(), first, oauth2.VerifierOption(verifier)); code(err) != "invalid_grant" {
		t.Errorf("second use: %v", err)
	}
	p = start(t, idp.Options{RequirePKCE: true})
	if answer := authorize(t, p); answer.Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v", answer)
	}
}

func TestOnlyRegisteredRedirectsAndMethodsAreAccepted(t *testing.T) {
	p := start(t, idp.Options{Clients: []idp.Client{{
		ID: "c", Secret: "s", RedirectURIs: []string{"https://app.example/callback/x"}, AuthMethod: idp.Post,
	}}})
	page, err := new(idp.Browser).Open(t.Context(), p.URL(idp.Authorize)+
		"?client_id=c&response_type=code&scope=openid&redirect_uri=https://evil.example/callback/x")
	if err != nil || page.Status != http.StatusBadRequest {
		t.Errorf("foreign redirect: %v %v", page, err)
	}
	c := clientcredentials.Config{ClientID: "c", ClientSecret: "s", TokenURL: p.URL(idp.Token), AuthStyle: oauth2.AuthStyleInHeader}
	if _, err := c.Token(t.Context()); code(err) != "invalid_client" {
		t.Errorf("wrong method: %v", err)
	}
	c.AuthStyle = oauth2.AuthStyleInParams
	if _, err := c.Token(t.Context()); err != nil {
		t.Errorf("registered method: %v", err)
	}
}

func TestClientCredentialsGiveATokenOfTheClientItself(t *testing.T) {
	p := start(t, idp.Options{})
	c := clientcredentials.Config{
		ClientID: idp.DefaultClient().ID, ClientSecret: idp.DefaultClient().Secret,
		TokenURL: p.URL(idp.Token), Scopes: []string{"read"}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, p, idp.API, token.AccessToken); body["account"] != c.ClientID || body["scope"] != "read" {
		t.Errorf("got %v", body)
	}
	if token.RefreshToken != "" {
		t.Error("a refresh token for a client")
	}
}

func TestWithoutRotationARefreshTokenStaysGood(t *testing.T) {
	p := start(t, idp.Options{})
	held := connect(t, p)
	for range 2 {
		token, err := refresh(t, p, held.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		if token.RefreshToken != held.RefreshToken { // x/oauth2 keeps the held one when the answer has none
			t.Error("a new refresh token")
		}
	}
}

func TestReuseOfASpentRefreshTokenEndsTheWholeFamily(t *testing.T) {
	p := start(t, idp.Options{Rotation: true, ReuseDetection: true})
	held := connect(t, p)
	next, err := refresh(t, p, held.RefreshToken)
	if err != nil || next.RefreshToken == held.RefreshToken {
		t.Fatalf("no rotation: %v", err)
	}
	if !p.AccessTokenValid(next.AccessToken) || p.Reuses() != 0 {
		t.Error("the family ended early")
	}
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" || p.Reuses() != 1 {
		t.Errorf("reuse: %v, counted %d", err, p.Reuses())
	}
	if _, err := refresh(t, p, next.RefreshToken); code(err) != "invalid_grant" {
		t.Errorf("the successor: %v", err)
	}
	if p.AccessTokenValid(next.AccessToken) {
		t.Error("the access token outlived the family")
	}
}

func TestAJustSpentRefreshTokenIsHonouredWithinTheGrace(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	p := start(t, idp.Options{Rotation: true, ReuseDetection: true, RetryGrace: time.Minute, Clock: clock})
	held := connect(t, p)
	for range 2 {
		if _, err := refresh(t, p, held.RefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	clock.SetTime(clock.Now().Add(time.Minute))
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" || p.Reuses() != 1 {
		t.Errorf("after the grace: %v, counted %d", err, p.Reuses())
	}
}

func TestTokensExpireByTheGivenClock(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	p := start(t, idp.Options{AccessTokenLifetime: time.Hour, RefreshTokenLifetime: 2 * time.Hour, Clock: clock})
	held := connect(t, p)
	if held.ExpiresIn != 3600 || !p.AccessTokenValid(held.AccessToken) {
		t.Errorf("expires_in %d", held.ExpiresIn)
	}
	clock.SetTime(clock.Now().Add(time.Hour))
	if status, _ := get(t, p, idp.API, held.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("expired token: %d", status)
	}
	clock.SetTime(clock.Now().Add(time.Hour))
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" {
		t.Errorf("expired refresh token: %v", err)
	}
}

func TestRevocationEndsTokens(t *testing.T) {
	revoke := func(t *testing.T, p *idp.Provider, token, hint string) {
		t.Helper()
		form := url.Values{"token": {token}, "token_type_hint": {hint}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(idp.Revocation), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(idp.DefaultClient().ID, idp.DefaultClient().Secret)
		response, err := p.HTTPClient().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("revocation: %s", response.Status)
		}
	}
	p := start(t, idp.Options{})
	held := connect(t, p)
	revoke(t, p, held.AccessToken, "access_token")
	if p.AccessTokenValid(held.AccessToken) {
		t.Error("a revoked access token is accepted")
	}
	next, err := refresh(t, p, held.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	revoke(t, p, held.RefreshToken, "refresh_token")
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" || p.AccessTokenValid(next.AccessToken) {
		t.Errorf("after revocation of the refresh token: %v", err)
	}
	revoke(t, p, "unknown", "")

	held = connect(t, p)
	p.RevokeConsents("alice")
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" {
		t.Errorf("after the person revoked the consent: %v", err)
	}
}

func TestTheLogHasNoSecretsAndTheListsHaveAll(t *testing.T) {
	p := start(t, idp.Options{Rotation: true})
	held := connect(t, p)
	next, err := refresh(t, p, held.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	issued := p.Issued()
	for _, token := range []string{held.AccessToken, held.RefreshToken, next.AccessToken, next.RefreshToken, held.Extra("id_token").(string)} {
		if !slices.Contains(issued, token) {
			t.Error("a token is missing from Issued")
		}
	}
	if len(issued) != 1+3+3 {
		t.Errorf("%d values issued, want a code and twice three tokens", len(issued))
	}
	received := p.Received()
	if !slices.Contains(received, "the-state") || !slices.Contains(received, idp.DefaultClient().Secret) || len(received) != 3 {
		t.Errorf("received %v, want state, verifier and client secret", received)
	}
	requests := p.Requests(idp.Token)
	if p.Count(idp.Token) != 2 || requests[0].GrantType != "authorization_code" || requests[1].GrantType != "refresh_token" {
		t.Fatalf("got %+v", requests)
	}
	if requests[1].AuthMethod != idp.Basic || requests[1].ClientID != idp.DefaultClient().ID || !slices.Equal(requests[1].Keys, []string{"grant_type", "refresh_token"}) {
		t.Errorf("got %+v", requests[1])
	}
}

func TestTheBareEndpointRotatesAndCountsReuse(t *testing.T) {
	bare := idp.Bare(time.Minute)
	server := httptest.NewServer(bare)
	defer server.Close()
	endpoint := oauth2.Config{ClientID: "c", Endpoint: oauth2.Endpoint{TokenURL: server.URL, AuthStyle: oauth2.AuthStyleInParams}}
	held, err := endpoint.Exchange(t.Context(), "any")
	if err != nil || held.ExpiresIn != 60 {
		t.Fatalf("%v %v", held, err)
	}
	spend := func(token string) (*oauth2.Token, error) {
		return endpoint.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token}).Token()
	}
	next, err := spend(held.RefreshToken)
	if err != nil || next.AccessToken == held.AccessToken {
		t.Fatalf("%v %v", next, err)
	}
	if _, err := spend(held.RefreshToken); code(err) != "invalid_grant" || bare.Reuses() != 1 || bare.Count() != 2 {
		t.Errorf("reuse: %v, %d reuses, %d issued", err, bare.Reuses(), bare.Count())
	}
	if _, err := spend("bare-refresh-9.9"); code(err) != "invalid_grant" {
		t.Errorf("unknown: %v", err)
	}
}
