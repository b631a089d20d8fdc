// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", []byte(fullAnswer))
	f.Add(200, "application/x-www-form-urlencoded", []byte("access_token=a&expires_in=1e400&scope=a%2Cb"))
	f.Add(200, "text/html", []byte(page))
	f.Add(400, "application/json", []byte(`{"error":"invalid_grant","error_description":"x"}`))
	f.Add(429, "", []byte(`{"error":["a"]}`))
	f.Add(200, "", []byte(`{"access_token":"a","expires_in":"-0x1p-2","scope":[1,null,"\u202e"]}`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := registration("http://idp.example", clientOf(func(*http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {contentType}, "Retry-After": {contentType}}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body))}, nil
		}))
		token, err := c.Refresh(t.Context(), held())
		if err == nil {
			checkToken(t, token)
			return
		}
		var e *oauth.Error
		if !errors.As(err, &e) || e.Kind == 0 || e.Cause == "" || len(e.Error()) > 200 ||
			e.RetryAfter < 0 || e.RetryAfter > time.Hour {
			t.Fatalf("got %#v", err)
		}
	})
}

func checkToken(t *testing.T, token *oauth.Token) {
	t.Helper()
	if token.AccessToken.IsZero() || token.RefreshToken.IsZero() || token.TokenType == "" {
		t.Fatal("a token is missing")
	}
	for _, expiry := range []time.Time{token.Expiry, token.RefreshTokenExpiry} {
		if !expiry.IsZero() && (expiry.Before(token.Obtained) || expiry.After(token.Obtained.AddDate(11, 0, 0))) {
			t.Fatalf("expiry %v", expiry)
		}
	}
	if len(token.Scopes) > 64 {
		t.Fatalf("%d scopes", len(token.Scopes))
	}
	for _, scope := range token.Scopes {
		for _, r := range scope {
			if r <= ' ' || r > '~' || r == '"' || r == '\\' {
				t.Fatalf("scope %q", scope)
			}
		}
	}
}
