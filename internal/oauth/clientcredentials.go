// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// ClientCredentials is the grant of RFC 6749 section 4.4: the client acts for itself.
type ClientCredentials struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (ClientCredentials) Token(ctx context.Context, c *Client, _ *Token) (*Token, error) {
	return c.askUnspent(ctx, map[string]string{"grant_type": "client_credentials"})
}

// askUnspent is askToken for grants that spend nothing: they can ask again whenever they like.
func (c *Client) askUnspent(ctx context.Context, params map[string]string) (*Token, error) {
	if len(c.Scopes) > 0 {
		params["scope"] = c.scope()
	}
	token, err := c.askToken(ctx, c.Endpoints.Token, c.Scopes, params)
	if err != nil {
		return nil, unspent(err)
	}
	return token, nil
}
