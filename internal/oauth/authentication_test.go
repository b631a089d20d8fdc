// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// asking are the requests that a client authenticates.
func asking(ctx context.Context) map[string]func(*oauth.Client) error {
	token := &oauth.Token{RefreshToken: oauth.NewSecret("t")}
	return map[string]func(*oauth.Client) error{
		"/token":      func(c *oauth.Client) error { _, err := c.Refresh(ctx, token); return err },
		"/revoke":     func(c *oauth.Client) error { return c.Revoke(ctx, token) },
		"/par":        func(c *oauth.Client) error { _, err := c.Authorize(ctx, "s", "v", "n"); return err },
		"/device":     func(c *oauth.Client) error { _, err := c.AskDevice(ctx); return err },
		"/introspect": func(c *oauth.Client) error { _, err := c.Introspect(ctx, token.RefreshToken); return err },
	}
}

func makes(secret string) func(context.Context) (oauth.Secret, error) {
	return func(context.Context) (oauth.Secret, error) { return oauth.NewSecret(secret), nil }
}

func TestAClientAuthenticatesTheSameWayEverywhere(t *testing.T) {
	const kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	body := map[oauth.Authentication]map[string]string{
		oauth.Basic:               {},
		oauth.Post:                {"client_id": "id", "client_secret": "secret"},
		oauth.PrivateKeyJWT:       {"client_id": "id", "client_assertion_type": kind, "client_assertion": "signed"},
		oauth.ServiceAccountToken: {"client_id": "id", "client_assertion_type": kind, "client_assertion": "signed"},
		oauth.TLS:                 {"client_id": "id"},
		oauth.None:                {"client_id": "id"},
	}
	for how, want := range body {
		for address, ask := range asking(t.Context()) {
			t.Run(string(how)+address, func(t *testing.T) {
				c, calls := scripted(t, answer(401, jsonType, `{"error":"invalid_client"}`))
				c.Authentication, c.Secret, c.Assertion = how, oauth.NewSecret("secret"), makes("signed")
				wantKind(t, ask(c), oauth.ClientRejected)
				got := only(t, calls)
				sent := map[string]string{}
				for _, name := range []string{"client_id", "client_secret", "client_assertion_type", "client_assertion"} {
					if value, found := got.params[name]; found && (name != "client_id" || how != oauth.Basic) {
						sent[name] = value
					}
				}
				if diff := cmp.Diff(want, sent); diff != "" {
					t.Error(diff)
				}
				if got.address != address || (got.user == "id") != (how == oauth.Basic) {
					t.Errorf("%s as %q", got.address, got.user)
				}
			})
		}
	}
}

func TestWithoutAnAssertionNothingIsSent(t *testing.T) {
	fails := func(err error) func(context.Context) (oauth.Secret, error) {
		return func(context.Context) (oauth.Secret, error) { return oauth.Secret{}, err }
	}
	for name, test := range map[string]struct {
		make  func(context.Context) (oauth.Secret, error)
		kind  oauth.Kind
		cause string
	}{
		"fails":              {fails(errors.New(sentinel)), oauth.Unreachable, "the client's assertion could not be made"},
		"is empty":           {makes(""), oauth.Unreachable, "the client's assertion could not be made"},
		"is not there":       {nil, oauth.Unreachable, "the client's assertion could not be made"},
		"says what is wrong": {fails(&oauth.Error{Kind: oauth.Misconfigured, Cause: "the key is no key"}), oauth.Misconfigured, "the key is no key"},
	} {
		for address, ask := range asking(t.Context()) {
			c, calls := scripted(t, answer(200, jsonType, fullAnswer))
			c.Authentication, c.Assertion = oauth.PrivateKeyJWT, test.make
			if e := wantKind(t, ask(c), test.kind); e.Cause != test.cause || len(*calls) > 0 {
				t.Errorf("%s %s: %q, %d requests", name, address, e.Cause, len(*calls))
			}
		}
		for _, grant := range []oauth.Grant{oauth.JWTBearer{}, oauth.TokenExchange{}} {
			c, calls := scripted(t, answer(200, jsonType, fullAnswer))
			c.Subject.Token = test.make
			if _, err := grant.Token(t.Context(), c, nil); len(*calls) > 0 {
				t.Errorf("%T %s: %d requests", grant, name, len(*calls))
			} else {
				wantKind(t, err, test.kind)
			}
		}
	}
}

func TestAnAssertionIsMadeAnewForEachRequest(t *testing.T) {
	c, _ := scripted(t, answer(200, jsonType, fullAnswer))
	made := 0
	c.Authentication, c.Assertion = oauth.PrivateKeyJWT, func(ctx context.Context) (oauth.Secret, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("it may take for ever")
		}
		made++
		return oauth.NewSecret("signed"), nil
	}
	for range 3 {
		if _, err := c.Refresh(t.Context(), held()); err != nil {
			t.Fatal(err)
		}
	}
	if made != 3 {
		t.Errorf("made %d times", made)
	}
}

func TestASubjectIsTradedForAToken(t *testing.T) {
	const jwt = "urn:ietf:params:oauth:token-type:jwt"
	bearer := map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "subject", "scope": "read write"}
	exchange := map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "subject", "subject_token_type": jwt, "scope": "read write"}
	tests := map[string]struct {
		grant  oauth.Grant
		change func(*oauth.Client)
		want   map[string]string
	}{
		"assertion":                      {oauth.JWTBearer{}, func(*oauth.Client) {}, bearer},
		"assertion of nobody's client":   {oauth.JWTBearer{}, func(c *oauth.Client) { c.ID, c.Secret = "", oauth.Secret{} }, bearer},
		"assertion, no scopes":           {oauth.JWTBearer{}, func(c *oauth.Client) { c.Scopes = nil }, with(bearer, "scope", "")},
		"subject token":                  {oauth.TokenExchange{}, func(*oauth.Client) {}, exchange},
		"subject token, no client, None": {oauth.TokenExchange{}, func(c *oauth.Client) { c.ID, c.Authentication = "", oauth.None }, exchange},
		"subject token of a public one":  {oauth.TokenExchange{}, func(c *oauth.Client) { c.Authentication = oauth.None }, with(exchange, "client_id", "id")},
		"types, audience": {oauth.TokenExchange{}, func(c *oauth.Client) {
			c.Subject.TokenType, c.Subject.RequestedTokenType = "urn:x:saml2", "urn:x:access"
			c.TokenParams = map[string]string{"audience": "api", "subject_token": "smuggled"}
		}, with(exchange, "subject_token_type", "urn:x:saml2", "requested_token_type", "urn:x:access", "audience", "api")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, calls := scripted(t, answer(200, jsonType,
				`{"access_token":"new","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"N_A","expires_in":60}`))
			c.Subject.Token, c.ExchangeParams = makes("subject"), map[string]string{"only": "codes"}
			test.change(c)
			token, err := test.grant.Token(t.Context(), c, nil)
			if err != nil || token.AccessToken.Reveal() != "new" || token.TokenType != "N_A" {
				t.Fatalf("got %+v, %v", token, err)
			}
			got := only(t, calls)
			if diff := cmp.Diff(test.want, got.params); diff != "" {
				t.Error(diff)
			}
			if (got.header.Get("Authorization") != "") != (c.ID != "" && c.Authentication == oauth.Basic) {
				t.Errorf("Authorization is %q", got.header.Get("Authorization"))
			}
		})
	}
}

// with returns a copy in which names have other values; empty: none.
func with(params map[string]string, pairs ...string) map[string]string {
	changed := map[string]string{}
	for name, value := range params {
		changed[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		if changed[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(changed, pairs[i])
		}
	}
	return changed
}

func TestATradeSpendsNothing(t *testing.T) {
	for _, grant := range []oauth.Grant{oauth.JWTBearer{}, oauth.TokenExchange{}} {
		for body, kind := range map[string]oauth.Kind{page: oauth.Unexpected, `{"error":"invalid_grant"}`: oauth.Misconfigured} {
			c := server(t, answer(200, jsonType, body))
			c.Subject.Token = makes("subject")
			_, err := grant.Token(t.Context(), c, nil)
			wantKind(t, err, kind)
		}
	}
}
