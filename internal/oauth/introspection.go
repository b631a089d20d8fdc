// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/url"
	"time"
)

// Introspection is what a provider says of a token (RFC 7662 section 2.2).
type Introspection struct {
	Active bool
	// Expiry is zero where the provider does not say it, or says what cannot be.
	Expiry time.Time
	Scopes []string
}

// Introspect asks about an access token (RFC 7662). The error is an *Error.
func (c *Client) Introspect(ctx context.Context, token Secret) (*Introspection, error) {
	params := url.Values{"token": {token.Reveal()}, "token_type_hint": {"access_token"}}
	body, err := c.ask(ctx, c.Endpoints.Introspection, "active", params, c.Dialect.tokenWording())
	if err != nil {
		return nil, err
	}
	answer := &Introspection{Active: body["active"] == true || body["active"] == "true"}
	if answer.Active {
		answer.Expiry, answer.Scopes = c.moment(body["exp"]), grantedScopes(c.separated(body["scope"]), nil)
	}
	return answer, nil
}

// moment reads a NumericDate (RFC 7519 section 2), at most maxLifetime from now.
func (c *Client) moment(value any) time.Time {
	seconds, ok := value.(float64)
	if !ok || !(seconds > 0) || seconds > float64(c.now().Add(maxLifetime).Unix()) {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
