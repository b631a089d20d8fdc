// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
		checkError(t, err)
		if token != nil {
			checkToken(t, token) // held, with another refresh token
		}
		_, err = c.Introspect(t.Context(), oauth.NewSecret("x"))
		checkError(t, err) // there is no endpoint
	})
}

// FuzzReading has the provider's fields read by a translation that gives them odd types.
func FuzzReading(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","refresh_token":"b"}`), []byte(`{"refresh_token":[1],"expires_in":{"a":1}}`))
	f.Add([]byte(`access_token=a&refresh_token=b`), []byte(`{"access_token":1e300,"scope":[[]],"error":{}}`))
	f.Add([]byte(`{}`), []byte(`{"access_token":"a","refresh_token_expires_in":"-1"}`))
	f.Fuzz(func(t *testing.T, body, translated []byte) {
		var reading map[string]any
		if json.Unmarshal(translated, &reading) != nil {
			return
		}
		c := answering(200, body)
		c.Dialect.Read = func(a oauth.Answer) oauth.Reading {
			merged := maps.Clone(a.Body)
			if merged == nil {
				merged = map[string]any{}
			}
			maps.Copy(merged, reading)
			return oauth.Reading{Body: merged}
		}
		token, err := c.Refresh(t.Context(), held())
		if err != nil {
			checkError(t, err)
		}
		if token != nil {
			checkToken(t, token)
		}
	})
}

func FuzzDeviceAnswer(f *testing.F) {
	f.Add(200, []byte(deviceAnswer))
	f.Add(200, []byte(`device_code=a&user_code=b&verification_url=http%3A%2F%2Fa&interval=1e9`))
	f.Add(400, []byte(`{"error":"slow_down"}`))
	f.Add(200, []byte(`{"device_code":"a","user_code":"\u202e","verification_uri":"javascript:1","interval":-1}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		c := answering(status, body)
		c.Endpoints.DeviceAuthorization = "http://idp.example/device"
		d, err := c.AskDevice(t.Context())
		if err != nil {
			checkError(t, err)
			return
		}
		life := d.Expires.Sub(now())
		if d.DeviceCode.IsZero() || d.UserCode == "" || len(d.UserCode) > 64 || !printable(d.UserCode) || life <= 0 || life > time.Hour ||
			d.Interval < time.Second || d.Interval > 5*time.Minute {
			t.Fatalf("got %+v", d)
		}
		for _, address := range []string{d.VerificationURI, d.VerificationURIComplete} {
			u, err := url.Parse(address)
			if err != nil || !printable(address) || address != "" && (u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
				t.Fatalf("address %q", address)
			}
		}
		if d.VerificationURI == "" {
			t.Fatal("there is no address")
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add("state=s&code=c&iss=https%3A%2F%2Fidp.example&realmId=1", "")
	f.Add("state=s&auth_code=c&error_hint=x", "auth_code")
	f.Add("error=access_denied&error=b;&%ff=%00", "state")
	f.Fuzz(func(t *testing.T, query, code string) {
		values, _ := url.ParseQuery(query) // as net/http does: what can be read of it
		r, ok := oauth.ParseResponse(values, code)
		if ok && (r.Code.IsZero() == (r.Error == "")) {
			t.Fatalf("got %+v", r)
		}
		if len(r.Parameters) > 16 {
			t.Fatalf("%d parameters", len(r.Parameters))
		}
		for name, value := range r.Parameters {
			if len(name) > 64 || len(value) > 1024 || !utf8.ValidString(name+value) || strings.HasPrefix(name, "error") ||
				name == code || name == "code" || name == "state" || name == "iss" || len(values[name]) != 1 {
				t.Fatalf("%q is %q", name, value)
			}
		}
	})
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// answering is registered where every answer is the same.
func answering(status int, body []byte) *oauth.Client {
	return registration("http://idp.example", clientOf(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
	}))
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Kind == 0 || e.Cause == "" || len(e.Error()) > 200 || e.RetryAfter < 0 || e.RetryAfter > time.Hour {
		t.Fatalf("got %#v", err)
	}
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
