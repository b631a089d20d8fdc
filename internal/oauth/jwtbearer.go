// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// JWTBearer is the grant of RFC 7523 section 2.1: an assertion, Client.Subject, is traded for a token.
type JWTBearer struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (JWTBearer) Token(_ context.Context, _ *Client, _ *Token) (*Token, error) {
	return nil, &Error{Kind: Misconfigured, Cause: "not yet"}
}
