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
