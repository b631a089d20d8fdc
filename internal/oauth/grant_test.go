// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const fullAnswer = `{"access_token":"new-access","refresh_token":"new-refresh","token_type":"bearer",` +
	`"expires_in":3600,"refresh_token_expires_in":"7200","scope":"read","id_token":"a.b.c"}`

func TestExchangeSendsTheCodeOnceAndReadsTheAnswer(t *testing.T) {
	var got request
	var calls atomic.Int32
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		got = readRequest(t, r)
		answer(200, jsonType, fullAnswer)(w, r)
	})
	c.ID, c.Secret = "id:1", oauth.NewSecret("a b/c")
	c.TokenParams = map[string]string{"audience": "api", "code": "smuggled"}
	c.RefreshParams = map[string]string{"only": "refresh"}
	token, err := c.Exchange(t.Context(), oauth.NewSecret("the-code"), oauth.NewSecret("the-verifier"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"grant_type": {"authorization_code"}, "code": {"the-code"}, "code_verifier": {"the-verifier"},
		"redirect_uri": {c.RedirectURI}, "audience": {"api"},
	}
	if diff := cmp.Diff(want, map[string][]string(got.form)); diff != "" {
		t.Errorf("form: %s", diff)
	}
	if got.user != "id%3A1" || got.secret != "a+b%2Fc" {
		t.Errorf("Basic is %s:%s, want both form-encoded (RFC 6749 section 2.3.1)", got.user, got.secret)
	}
	if got.header.Get("Accept") != "application/json" || got.header.Get("User-Agent") != "oauth-operator" {
		t.Errorf("header is %v", got.header)
	}
	if calls.Load() != 1 {
		t.Errorf("%d requests", calls.Load())
	}
	token.Body, token.Header = nil, nil
	if diff := cmp.Diff(&oauth.Token{
		AccessToken: oauth.NewSecret("new-access"), RefreshToken: oauth.NewSecret("new-refresh"),
		IDToken: oauth.NewSecret("a.b.c"), TokenType: "Bearer", Scopes: []string{"read"},
		Obtained: now(), Expiry: now().Add(time.Hour), RefreshTokenExpiry: now().Add(2 * time.Hour),
	}, token); diff != "" {
		t.Error(diff)
	}
}

func TestClientAuthenticationIsPinned(t *testing.T) {
	tests := map[oauth.Authentication]struct{ basic, id, secret string }{
		oauth.Basic: {"id", "", ""},
		oauth.Post:  {"", "id", "client-" + sentinel},
		oauth.None:  {"", "id", ""},
	}
	for how, want := range tests {
		for name, call := range map[string]func(*oauth.Client) error{
			"token": func(c *oauth.Client) error { _, err := c.Refresh(t.Context(), held()); return err },
			"revoke": func(c *oauth.Client) error {
				return c.Revoke(t.Context(), &oauth.Token{RefreshToken: oauth.NewSecret("t")})
			},
		} {
			t.Run(string(how)+" "+name, func(t *testing.T) {
				var got request
				var calls atomic.Int32
				c := server(t, func(w http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					got = readRequest(t, r)
					answer(401, jsonType, `{"error":"invalid_client"}`)(w, r)
				})
				c.Authentication = how
				if how == oauth.None {
					c.Secret = oauth.Secret{}
				}
				wantKind(t, call(c), oauth.ClientRejected)
				if calls.Load() != 1 {
					t.Errorf("%d requests: a refused one must not be repeated in another style", calls.Load())
				}
				if got.user != want.basic || got.form.Get("client_id") != want.id || got.form.Get("client_secret") != want.secret {
					t.Errorf("sent %+v", got)
				}
			})
		}
	}
}

func TestRefreshKeepsWhatTheAnswerOmits(t *testing.T) {
	var got request
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = readRequest(t, r)
		answer(200, jsonType, `{"access_token":"new","refresh_token":""}`)(w, r)
	})
	c.TokenParams = map[string]string{"a": "token", "b": "token", "grant_type": "smuggled"}
	c.RefreshParams = map[string]string{"b": "refresh", "refresh_token": "smuggled"}
	before := held()
	token, err := c.Refresh(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if !token.RefreshToken.Equal(before.RefreshToken) || !token.RefreshTokenExpiry.Equal(before.RefreshTokenExpiry) {
		t.Error("the held refresh token or its expiry is gone")
	}
	if diff := cmp.Diff(before.Scopes, token.Scopes); diff != "" {
		t.Errorf("scopes: %s", diff)
	}
	if token.TokenType != "Bearer" || !token.Expiry.IsZero() {
		t.Errorf("type %q, expiry %v", token.TokenType, token.Expiry)
	}
	want := map[string][]string{
		"grant_type": {"refresh_token"}, "refresh_token": {before.RefreshToken.Reveal()}, "a": {"token"}, "b": {"refresh"},
	}
	if diff := cmp.Diff(want, map[string][]string(got.form)); diff != "" {
		t.Errorf("form: %s", diff)
	}
	if len(c.RefreshParams) != 2 {
		t.Error("RefreshParams were changed")
	}
}

func TestARotatedRefreshTokenDoesNotInheritTheOldExpiry(t *testing.T) {
	c := server(t, answer(200, jsonType, `{"access_token":"new","refresh_token":"rotated"}`))
	token, err := c.Refresh(t.Context(), held())
	if err != nil {
		t.Fatal(err)
	}
	if token.RefreshToken.Reveal() != "rotated" || !token.RefreshTokenExpiry.IsZero() {
		t.Errorf("expiry of another token was kept: %v", token.RefreshTokenExpiry)
	}
}

func TestOddAnswersNeverCostTheToken(t *testing.T) {
	tests := map[string]struct {
		contentType, body string
		check             func(*oauth.Token) bool
	}{
		"form":                       {formType, "access_token=new&scope=repo%2Cgist&token_type=bearer&expires_in=60", func(k *oauth.Token) bool { return k.Expiry.Equal(now().Add(time.Minute)) && len(k.Scopes) == 2 }},
		"form as text/plain":         {"text/plain", "access_token=new", nil},
		"JSON as text/plain":         {"text/plain", `{"access_token":"new"}`, nil},
		"JSON as text/html":          {"text/html", ` {"access_token":"new"}`, nil},
		"JSON with a byte order":     {jsonType, "\ufeff" + `{"access_token":"new"}`, nil},
		"expires_in as text":         {jsonType, `{"access_token":"new","expires_in":"60"}`, func(k *oauth.Token) bool { return k.Expiry.Equal(now().Add(time.Minute)) }},
		"expires_in with a fraction": {jsonType, `{"access_token":"new","expires_in":59.5}`, func(k *oauth.Token) bool { return k.Expiry.Equal(now().Add(59500 * time.Millisecond)) }},
		"expires_in as null":         {jsonType, `{"access_token":"new","expires_in":null}`, func(k *oauth.Token) bool { return k.Expiry.IsZero() }},
		"expires_in as an object":    {jsonType, `{"access_token":"new","expires_in":{}}`, func(k *oauth.Token) bool { return k.Expiry.IsZero() }},
		"expires_in zero":            {jsonType, `{"access_token":"new","expires_in":0}`, func(k *oauth.Token) bool { return k.Expiry.IsZero() }},
		"expires_in negative":        {jsonType, `{"access_token":"new","expires_in":-1}`, func(k *oauth.Token) bool { return k.Expiry.IsZero() }},
		"expires_in NaN":             {jsonType, `{"access_token":"new","expires_in":"NaN"}`, func(k *oauth.Token) bool { return k.Expiry.IsZero() }},
		"expires_in absurd":          {jsonType, `{"access_token":"new","expires_in":1e300}`, func(k *oauth.Token) bool { return k.Expiry.Equal(now().Add(10 * 365 * 24 * time.Hour)) }},
		"another token_type":         {jsonType, `{"access_token":"new","token_type":"DPoP"}`, func(k *oauth.Token) bool { return k.TokenType == "DPoP" }},
		"token_type as a number":     {jsonType, `{"access_token":"new","token_type":1}`, func(k *oauth.Token) bool { return k.TokenType == "Bearer" }},
		"token_type with a newline":  {jsonType, `{"access_token":"new","token_type":"a\nb"}`, func(k *oauth.Token) bool { return k.TokenType == "Bearer" }},
		"refresh_token as null":      {jsonType, `{"access_token":"new","refresh_token":null}`, nil},
		"an empty error":             {jsonType, `{"access_token":"new","error":""}`, nil},
		"a token beside an error":    {jsonType, `{"access_token":"new","error":"invalid_grant"}`, nil},
		"scope as a list":            {jsonType, `{"access_token":"new","scope":["a","b"]}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"a", "b"}) }},
		"scope with rubbish":         {jsonType, `{"access_token":"new","scope":"a \u0007 a <\"> b"}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"a", "b"}) }},
		"scope as a number":          {jsonType, `{"access_token":"new","scope":1}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"read"}) }},
		"scope empty":                {jsonType, `{"access_token":"new","scope":""}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"read"}) }},
		"scope other than asked":     {jsonType, `{"access_token":"new","scope":"other"}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"other"}) }},
		"scope too long":             {jsonType, `{"access_token":"new","scope":"` + strings.Repeat("x", 300) + `"}`, func(k *oauth.Token) bool { return cmp.Equal(k.Scopes, []string{"read"}) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			token, err := server(t, answer(200, test.contentType, test.body)).Refresh(t.Context(), held())
			if err != nil {
				t.Fatal(err)
			}
			if token.AccessToken.Reveal() != "new" || !token.RefreshToken.Equal(held().RefreshToken) {
				t.Error("a token is lost")
			}
			if test.check != nil && !test.check(token) {
				t.Errorf("got type %q, expiry %v, scopes %v", token.TokenType, token.Expiry, token.Scopes)
			}
		})
	}
}

func TestATokenThatNoRecordHoldsIsNone(t *testing.T) {
	endless := strings.Repeat("x", oauth.MaxToken+1)
	token, err := server(t, answer(200, jsonType, `{"access_token":"`+endless+`","refresh_token":"next"}`)).Refresh(t.Context(), held())
	if wantKind(t, err, oauth.Ambiguous); token == nil || !token.AccessToken.Equal(held().AccessToken) || token.RefreshToken.Reveal() != "next" {
		t.Error("the access token is taken, or the refresh token lost")
	}
	c := server(t, answer(200, jsonType, `{"t":"x"}`))
	c.Dialect.Read = func(oauth.Answer) oauth.Reading {
		return oauth.Reading{Body: map[string]any{"access_token": "new", "refresh_token": endless}}
	}
	if token, err = c.Refresh(t.Context(), held()); err != nil || !token.RefreshToken.Equal(held().RefreshToken) {
		t.Errorf("the refresh token is taken: %v", err)
	}
}

func TestACommaIsKeptInAScopeThatWasAskedForWithIt(t *testing.T) {
	c := server(t, answer(200, jsonType, `{"access_token":"new","scope":"a,b c"}`))
	before := held()
	before.Scopes = []string{"a,b", "c"}
	token, err := c.Refresh(t.Context(), before)
	if err != nil || !cmp.Equal(token.Scopes, before.Scopes) {
		t.Errorf("got %v, %v", token, err)
	}
}

func TestTokenLifetimeStandsInForAMissingExpiry(t *testing.T) {
	c := server(t, answer(200, jsonType, `{"access_token":"new"}`))
	c.TokenLifetime = 2 * time.Hour
	token, err := c.Refresh(t.Context(), held())
	if err != nil || !token.Expiry.Equal(now().Add(2*time.Hour)) {
		t.Errorf("got %v, %v", token, err)
	}
}

func TestACancelledCallerDoesNotCutARequestThatWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-ctx.Done()
		answer(200, jsonType, `{"access_token":"new","refresh_token":"rotated"}`)(w, r)
	})
	token, err := c.Refresh(ctx, held())
	if err != nil || token.RefreshToken.Reveal() != "rotated" {
		t.Fatalf("the rotated token is lost: %v", err)
	}
}

func TestWithoutARefreshTokenNothingIsSent(t *testing.T) {
	c := server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for _, token := range []*oauth.Token{nil, {AccessToken: oauth.NewSecret("a")}} {
		_, err := oauth.AuthorizationCode{}.Token(t.Context(), c, token)
		wantKind(t, err, oauth.NoRefreshToken)
	}
}

func TestClientCredentialsAskForScopesAndSpendNothing(t *testing.T) {
	var got request
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = readRequest(t, r)
		answer(200, jsonType, `{"access_token":"new","expires_in":60}`)(w, r)
	})
	c.ScopeSeparator = ","
	token, err := oauth.ClientCredentials{}.Token(t.Context(), c, nil)
	if err != nil || !token.RefreshToken.IsZero() || !cmp.Equal(token.Scopes, c.Scopes) {
		t.Fatalf("got %+v, %v", token, err)
	}
	want := map[string][]string{"grant_type": {"client_credentials"}, "scope": {"read,write"}}
	if diff := cmp.Diff(want, map[string][]string(got.form)); diff != "" {
		t.Errorf("form: %s", diff)
	}
	for body, kind := range map[string]oauth.Kind{page: oauth.Unexpected, `{"error":"invalid_grant"}`: oauth.Misconfigured} {
		_, err := oauth.ClientCredentials{}.Token(t.Context(), server(t, answer(200, jsonType, body)), nil)
		wantKind(t, err, kind)
	}
	cut := server(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	_, err = oauth.ClientCredentials{}.Token(t.Context(), cut, nil)
	wantKind(t, err, oauth.Transient)
}

func TestScopesAreReadWithTheSeparatorTheyAreAskedForWith(t *testing.T) {
	c := server(t, answer(200, jsonType, `{"access_token":"new","scope":"read;write"}`))
	c.ScopeSeparator = ";"
	token, err := oauth.ClientCredentials{}.Token(t.Context(), c, nil)
	if err != nil || !cmp.Equal(token.Scopes, []string{"read", "write"}) {
		t.Errorf("got %+v, %v", token, err)
	}
}

func TestGrantsAreFoundByTheirNameInTheAPI(t *testing.T) {
	for name, want := range map[string]oauth.Grant{
		"AuthorizationCode": oauth.AuthorizationCode{}, "ClientCredentials": oauth.ClientCredentials{}, "DeviceCode": oauth.DeviceCode{},
		"JWTBearer": oauth.JWTBearer{}, "TokenExchange": oauth.TokenExchange{}, "": nil,
	} {
		if grant, found := oauth.GrantFor(name); grant != want || found != (want != nil) {
			t.Errorf("%q gives %T", name, grant)
		}
	}
}
