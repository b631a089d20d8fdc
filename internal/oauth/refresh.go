// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// Refresh sends held's refresh token (RFC 6749 section 6). What the answer omits is kept from held:
// the refresh token, its expiry, the scopes. It makes one request of at most 30 s that the caller's
// cancellation does not cut. The error is an *Error; NoRefreshToken where held has none. A token beside
// an error is held with a new refresh token, which has to be saved: the answer had no access token that
// could be read.
func (c *Client) Refresh(ctx context.Context, held *Token) (*Token, error) {
	if held == nil || held.RefreshToken.IsZero() {
		return nil, &Error{Kind: NoRefreshToken, Cause: "no refresh token is held"}
	}
	address, asked := c.Endpoints.Refresh, held.Scopes
	if address == "" {
		address = c.Endpoints.Token
	}
	if len(asked) == 0 {
		asked = c.Scopes
	}
	params := map[string]string{"grant_type": c.Dialect.RefreshGrantType, "refresh_token": held.RefreshToken.Reveal()}
	if c.Dialect.RefreshGrantType == "" {
		params["grant_type"] = "refresh_token"
	}
	if c.Dialect.RepeatRedirectURI {
		params["redirect_uri"] = c.RedirectURI
	}
	if c.Dialect.RepeatScope && len(asked) > 0 {
		params["scope"] = c.joined(asked)
	}
	next, err := c.askToken(ctx, address, asked, c.RefreshParams, params)
	switch {
	case next == nil:
		return nil, err
	case err != nil:
		kept := *held
		kept.RefreshToken, kept.RefreshTokenExpiry, kept.Issues = next.RefreshToken, next.RefreshTokenExpiry, next.Issues
		return &kept, err
	}
	if next.RefreshToken.IsZero() {
		next.RefreshToken = held.RefreshToken
	}
	if next.RefreshTokenExpiry.IsZero() && next.RefreshToken.Equal(held.RefreshToken) {
		next.RefreshTokenExpiry = held.RefreshTokenExpiry
	}
	next.Extended = extends(held, next)
	return next, nil
}

// extends says whether the refresh token's end moves on as time does. A fixed one that is told in seconds
// from now moves as well, by as much as answers are late.
func extends(held, next *Token) bool {
	moved := next.RefreshTokenExpiry.Sub(held.RefreshTokenExpiry)
	return !held.RefreshTokenExpiry.IsZero() && moved > 0 && moved > next.Obtained.Sub(held.Obtained)/2
}
