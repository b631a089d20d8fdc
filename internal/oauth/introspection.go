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
	return c.introspect(ctx, token, "access_token")
}

// IntrospectRefreshToken asks about a refresh token, which spends nothing. An active one is good. One that
// is not active need not be bad: an endpoint answers so too about tokens of a type that it does not know,
// and about those that it does not tell this client of (RFC 7662 section 2.2). The error is an *Error.
func (c *Client) IntrospectRefreshToken(ctx context.Context, token Secret) (*Introspection, error) {
	return c.introspect(ctx, token, "refresh_token")
}

func (c *Client) introspect(ctx context.Context, token Secret, hint string) (*Introspection, error) {
	params := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
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
