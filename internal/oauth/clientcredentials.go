// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
)

// ClientCredentials is the grant of RFC 6749 section 4.4: the client acts for itself.
type ClientCredentials struct{}

// Token asks for a new token. Nothing held is needed and nothing is spent, so no error is ever
// Ambiguous; and as there is no person, none is Reauthorize.
func (ClientCredentials) Token(ctx context.Context, c *Client, _ *Token) (*Token, error) {
	params := map[string]string{}
	if len(c.Scopes) > 0 {
		params["scope"] = c.scope()
	}
	body, err := c.askToken(ctx, "client_credentials", params)
	if err != nil {
		return nil, unspent(err)
	}
	return c.token(body, c.Scopes), nil
}

func unspent(err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return err
	case e.Kind == Ambiguous && e.Status == 0:
		e.Kind = Transient
	case e.Kind == Ambiguous:
		e.Kind = Unexpected
	case e.Kind == Reauthorize:
		e.Kind = Misconfigured
	}
	return e
}
