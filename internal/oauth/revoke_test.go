// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestRevokeSendsTheTokenAndToleratesAnySuccess(t *testing.T) {
	var got request
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = readRequest(t, r)
		answer(200, "text/html", page)(w, r)
	})
	if err := c.Revoke(t.Context(), &oauth.Token{RefreshToken: oauth.NewSecret("spent")}); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"token": {"spent"}, "token_type_hint": {"refresh_token"}}
	if diff := cmp.Diff(want, map[string][]string(got.form)); diff != "" {
		t.Error(diff)
	}
	c.Endpoints.Revocation = ""
	if err := c.Revoke(t.Context(), &oauth.Token{RefreshToken: oauth.NewSecret("spent")}); !errors.Is(err, oauth.ErrRevocationUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestRevokeFailuresAreClassified(t *testing.T) {
	revoke := func(c *oauth.Client) error {
		return c.Revoke(t.Context(), &oauth.Token{AccessToken: oauth.NewSecret(sentinel)})
	}
	wantKind(t, revoke(server(t, answer(503, "text/html", page, "Retry-After", "5"))), oauth.Transient)
	wantKind(t, revoke(server(t, answer(400, jsonType, `{"error":"unsupported_token_type"}`))), oauth.Misconfigured)
	wantKind(t, revoke(server(t, answer(404, "text/html", page))), oauth.Unexpected)
	bad := server(t, answer(200, jsonType, ""))
	bad.Endpoints.Revocation = "http://[::1"
	wantKind(t, revoke(bad), oauth.Misconfigured)
}

func TestRevocationIsAsTheProviderWants(t *testing.T) {
	const access, refresh = "access/1+2", "refresh ?&#"
	standard := map[string]string{"token": refresh, "token_type_hint": "refresh_token"}
	tests := map[string]struct {
		path  string
		rules oauth.Revocation
		want  call
	}{
		"RFC 7009":             {"", oauth.Revocation{}, call{"POST", "/revoke", nil, standard, "id"}},
		"of the access token":  {"", oauth.Revocation{AccessToken: true}, call{"POST", "/revoke", nil, map[string]string{"token": access, "token_type_hint": "access_token"}, "id"}},
		"in JSON, other names": {"", oauth.Revocation{JSON: true, Names: map[string]string{"token": "accessToken", "token_type_hint": ""}}, call{"POST", "/revoke", nil, map[string]string{"accessToken": refresh}, "id"}},
		"Dropbox's bearer":     {"", oauth.Revocation{Authentication: "Bearer", AccessToken: true}, call{"POST", "/revoke", nil, map[string]string{}, ""}},
		"Smartsheet's DELETE":  {"", oauth.Revocation{Authentication: "Bearer", AccessToken: true, Method: "DELETE"}, call{"DELETE", "/revoke", nil, map[string]string{}, ""}},
		"HubSpot's address":    {"/v1/{client_id}/{token}", oauth.Revocation{Method: "DELETE", Authentication: "None"}, call{"DELETE", "/revoke/v1/id/refresh%20%3F&%23", nil, map[string]string{}, ""}},
		"Google's query":       {"?token={token}&c={client_id}", oauth.Revocation{Authentication: "None"}, call{"POST", "/revoke?token=refresh+%3F%26%23&c=id", nil, map[string]string{}, ""}},
		"GET":                  {"?t={token}", oauth.Revocation{Method: "GET"}, call{"GET", "/revoke?t=refresh+%3F%26%23", nil, map[string]string{}, "id"}},
		"GitHub's DELETE in JSON": {"", oauth.Revocation{Authentication: "ClientSecretBasic", AccessToken: true, Method: "DELETE", JSON: true, Names: map[string]string{"token": "access_token", "token_type_hint": ""}},
			call{"DELETE", "/revoke", nil, map[string]string{"access_token": access}, "id"}},
		"the secret in the body": {"", oauth.Revocation{Authentication: "ClientSecretPost"},
			call{"POST", "/revoke", nil, map[string]string{"token": refresh, "token_type_hint": "refresh_token", "client_id": "id", "client_secret": "client-s3ntinel-value"}, ""}},
		"of nobody": {"", oauth.Revocation{Authentication: "None"}, call{"POST", "/revoke", nil, standard, ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, calls := scripted(t, answer(204, jsonType, ""))
			c.Endpoints.Revocation += test.path
			c.Dialect.Revocation = test.rules
			c.Dialect.Revocation.Headers = map[string]string{"X-Version": "3"}
			if err := c.Revoke(t.Context(), &oauth.Token{AccessToken: oauth.NewSecret(access), RefreshToken: oauth.NewSecret(refresh)}); err != nil {
				t.Fatal(err)
			}
			got := only(t, calls)
			header := got.header
			got.header = nil
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(call{})); diff != "" {
				t.Error(diff)
			}
			bearer := test.rules.Authentication == "Bearer"
			if header.Get("X-Version") != "3" || (header.Get("Authorization") == "Bearer "+access) != bearer {
				t.Errorf("header is %v", header)
			}
			if (header.Get("Content-Type") == "") != (len(got.params) == 0) {
				t.Errorf("Content-Type is %q", header.Get("Content-Type"))
			}
			if bearer && len(c.Dialect.Revocation.Headers) != 1 {
				t.Error("the token was left in the dialect")
			}
		})
	}
}

func TestRevokeTakesTheTokenThatIsThere(t *testing.T) {
	for name, token := range map[string]*oauth.Token{
		"access_token":  {AccessToken: oauth.NewSecret("t")},
		"refresh_token": {RefreshToken: oauth.NewSecret("t")},
	} {
		for _, wanted := range []bool{false, true} {
			c, calls := scripted(t, answer(200, jsonType, ""))
			c.Dialect.Revocation.AccessToken = wanted
			if err := c.Revoke(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			if got := only(t, calls); got.params["token"] != "t" || got.params["token_type_hint"] != name {
				t.Errorf("%s: %v", name, got.params)
			}
		}
	}
	c, calls := scripted(t, answer(200, jsonType, ""))
	if wantKind(t, c.Revoke(t.Context(), &oauth.Token{}), oauth.NoRefreshToken); len(*calls) > 0 {
		t.Error("something was sent")
	}
}

func TestARevocationThatNamesAnErrorInsideASuccessFailed(t *testing.T) {
	c, _ := scripted(t, answer(200, jsonType, `{"ok":false,"error":"invalid_auth"}`))
	c.Errors = []oauth.ErrorRule{{Code: "invalid_auth", Kind: oauth.ClientRejected}}
	wantKind(t, c.Revoke(t.Context(), held()), oauth.ClientRejected)
	if strings.Contains(c.Endpoints.Revocation, "{") {
		t.Error("the endpoint was changed")
	}
}
