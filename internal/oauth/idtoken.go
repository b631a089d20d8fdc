// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// ErrIDToken means that an ID token was not made for this client and this authorization request.
var ErrIDToken = errors.New("the ID token belongs to another request")

// Claims returns the claims of the ID token, or nil where there is none that can be read. The
// signature is not checked: the token came from the token endpoint itself, over TLS (OpenID Connect
// Core section 3.1.3.7, point 6).
func (t *Token) Claims() map[string]any {
	parts := strings.Split(t.IDToken.Reveal(), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	return claims
}

// CheckIDToken compares issuer, audience and nonce of the ID token that an exchange answered with
// (OpenID Connect Core section 3.1.3.7). It returns ErrIDToken where they differ, and nil where
// there is no ID token. nonce is what was given to Authorize.
func (c *Client) CheckIDToken(t *Token, nonce string) error {
	if t.IDToken.IsZero() {
		return nil
	}
	claims := t.Claims()
	if claims == nil || !c.issued(text(claims, "iss")) || !audience(claims["aud"], c.ID) {
		return ErrIDToken
	}
	if c.asksOpenID() && nonce != "" &&
		subtle.ConstantTimeCompare([]byte(text(claims, "nonce")), []byte(nonce)) != 1 {
		return ErrIDToken
	}
	return nil
}

// issued compares iss. Google is allowed to leave the scheme out (its own documentation says so).
func (c *Client) issued(iss string) bool {
	return c.Issuer == "" || iss == c.Issuer || "https://"+iss == c.Issuer
}

func audience(aud any, id string) bool {
	if list, ok := aud.([]any); ok {
		return slices.Contains(list, any(id))
	}
	return aud == any(id)
}

func (c *Client) asksOpenID() bool { return slices.Contains(c.Scopes, "openid") }
