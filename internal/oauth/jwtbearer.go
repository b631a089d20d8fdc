// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// JWTBearer is the grant of RFC 7523 section 2.1: an assertion, Client.Subject, is traded for a token.
// Where Client.ID is empty, only the assertion tells who asks.
type JWTBearer struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (JWTBearer) Token(ctx context.Context, c *Client, _ *Token) (*Token, error) {
	assertion, err := c.subject(ctx)
	if err != nil {
		return nil, err
	}
	return c.askUnspent(ctx, map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"assertion":  assertion.Reveal(),
	})
}
