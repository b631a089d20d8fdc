// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"maps"
)

// AuthorizationCode is the grant of RFC 6749 section 4.1. A person consents once; from then on its
// refresh token is used.
type AuthorizationCode struct{}

// Token refreshes held.
func (AuthorizationCode) Token(ctx context.Context, c *Client, held *Token) (*Token, error) {
	return c.Refresh(ctx, held)
}

// Exchange trades an authorization code for a token (RFC 6749 section 4.1.3). It makes one request
// of at most 30 s that the caller's cancellation does not cut. The error is an *Error.
func (c *Client) Exchange(ctx context.Context, code, verifier Secret) (*Token, error) {
	params := map[string]string{"code": code.Reveal(), "redirect_uri": c.RedirectURI}
	if c.PKCE {
		params["code_verifier"] = verifier.Reveal()
	}
	body, err := c.askToken(ctx, "authorization_code", params)
	if err != nil {
		return nil, err
	}
	return c.token(body, c.Scopes), nil
}

// Refresh sends held's refresh token (RFC 6749 section 6). What the answer omits is kept from held:
// the refresh token, its expiry, the scopes. It makes one request of at most 30 s that the caller's
// cancellation does not cut. The error is an *Error; NoRefreshToken where held has none.
func (c *Client) Refresh(ctx context.Context, held *Token) (*Token, error) {
	if held == nil || held.RefreshToken.IsZero() {
		return nil, &Error{Kind: NoRefreshToken, Cause: "no refresh token is held"}
	}
	params := maps.Clone(c.RefreshParams)
	if params == nil {
		params = map[string]string{}
	}
	params["refresh_token"] = held.RefreshToken.Reveal()
	body, err := c.askToken(ctx, "refresh_token", params)
	if err != nil {
		return nil, err
	}
	asked := held.Scopes
	if len(asked) == 0 {
		asked = c.Scopes
	}
	next := c.token(body, asked)
	if next.RefreshToken.IsZero() {
		next.RefreshToken = held.RefreshToken
	}
	if next.RefreshTokenExpiry.IsZero() && next.RefreshToken.Equal(held.RefreshToken) {
		next.RefreshTokenExpiry = held.RefreshTokenExpiry
	}
	return next, nil
}
