// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// AuthorizationCode is the grant of RFC 6749 section 4.1. A person consents once; from then on its
// refresh token is used.
type AuthorizationCode struct{}

// Token refreshes held.
func (AuthorizationCode) Token(ctx context.Context, c *Client, held *Token) (*Token, error) {
	return c.Refresh(ctx, held)
}

// Exchange trades an authorization code for a token (RFC 6749 section 4.1.3). It makes one request
// of at most 30 s that the caller's cancellation does not cut. The error is an *Error. A token beside an
// error has a refresh token only: the answer had no access token that could be read.
func (c *Client) Exchange(ctx context.Context, code, verifier Secret) (*Token, error) {
	params := map[string]string{
		"grant_type": "authorization_code", "code": code.Reveal(), "redirect_uri": c.RedirectURI,
	}
	if c.PKCE {
		params["code_verifier"] = verifier.Reveal()
	}
	return c.askToken(ctx, c.Endpoints.Token, c.Scopes, c.ExchangeParams, params)
}
