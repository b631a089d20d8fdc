// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"maps"
	"net/url"
	"strings"
)

// Revoke ends a token (RFC 7009): the refresh token where there is one, because with it most providers
// end the access tokens as well, unless the dialect says otherwise. The address may hold {token} and
// {client_id}. The error is an *Error, or ErrRevocationUnsupported where the provider has no revocation
// endpoint.
func (c *Client) Revoke(ctx context.Context, held *Token) error {
	if c.Endpoints.Revocation == "" {
		return ErrRevocationUnsupported
	}
	token, hint := held.RefreshToken, "refresh_token"
	if token.IsZero() || c.Dialect.Revocation.AccessToken && !held.AccessToken.IsZero() {
		token, hint = held.AccessToken, "access_token"
	}
	if token.IsZero() {
		return &Error{Kind: NoRefreshToken, Cause: "no token is held"}
	}
	address, told := c.revocationAddress(token)
	rules := c.Dialect.Revocation
	w := wording{method: rules.Method, json: rules.JSON, headers: rules.Headers, names: rules.Names}
	switch rules.Authentication {
	case "Bearer": // RFC 6750 section 2: a token is sent in one way only
		w.anonymous, told, w.headers = true, true, maps.Clone(rules.Headers)
		if w.headers == nil {
			w.headers = map[string]string{}
		}
		w.headers["Authorization"] = "Bearer " + token.Reveal()
	case "None":
		w.anonymous = true
	case string(Basic), string(Post):
		as := *c
		as.Authentication = Authentication(rules.Authentication)
		c = &as
	}
	params := url.Values{}
	if !told {
		params = url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	}
	_, err := c.ask(ctx, address, "", params, w)
	return err
}

// revocationAddress fills the endpoint's address and says whether it holds the token then.
func (c *Client) revocationAddress(token Secret) (address string, told bool) {
	fill := func(part string, escape func(string) string) string {
		return strings.NewReplacer("{token}", escape(token.Reveal()), "{client_id}", escape(c.ID)).Replace(part)
	}
	path, query, found := strings.Cut(c.Endpoints.Revocation, "?")
	address = fill(path, url.PathEscape)
	if found {
		address += "?" + fill(query, url.QueryEscape)
	}
	return address, strings.Contains(c.Endpoints.Revocation, "{token}")
}
