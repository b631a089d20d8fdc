// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// TokenExchange is the grant of RFC 8693: Client.Subject is traded for a token.
type TokenExchange struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (TokenExchange) Token(_ context.Context, _ *Client, _ *Token) (*Token, error) {
	return nil, &Error{Kind: Misconfigured, Cause: "not yet"}
}
