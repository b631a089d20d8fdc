// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// TokenExchange is the grant of RFC 8693: Client.Subject is traded for a token. Where Client.ID is empty,
// only the subject token tells who asks.
type TokenExchange struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (TokenExchange) Token(ctx context.Context, c *Client, _ *Token) (*Token, error) {
	subject, err := c.subject(ctx)
	if err != nil {
		return nil, err
	}
	params := map[string]string{
		"grant_type":         "urn:ietf:params:oauth:grant-type:token-exchange",
		"subject_token":      subject.Reveal(),
		"subject_token_type": c.Subject.TokenType,
	}
	if c.Subject.TokenType == "" {
		params["subject_token_type"] = "urn:ietf:params:oauth:token-type:jwt"
	}
	if c.Subject.RequestedTokenType != "" {
		params["requested_token_type"] = c.Subject.RequestedTokenType
	}
	return c.askUnspent(ctx, params)
}
