// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// Authorize returns where the person is sent. What is asked for goes to the provider directly where it
// takes that (RFC 9126), else it stands in the address. The error is an *Error.
func (c *Client) Authorize(_ context.Context, state, verifier, nonce string) (string, error) {
	address := c.AuthorizationURL(state, verifier, nonce)
	if address == "" {
		return "", &Error{Kind: Misconfigured, Cause: "the authorization endpoint's address cannot be used"}
	}
	return address, nil
}

// AuthorizationURL is where the person is sent (RFC 6749 section 4.1.1). It returns "" where the
// endpoint is no address. A query that the endpoint already has is kept; the protocol's own
// parameters win over it and over AuthorizationParams. nonce is sent with scope openid only.
func (c *Client) AuthorizationURL(state, verifier, nonce string) string {
	u, err := url.Parse(c.Endpoints.Authorization)
	if err != nil || u.Host == "" {
		return ""
	}
	query := u.Query()
	for name, value := range c.AuthorizationParams {
		query.Set(name, value)
	}
	query.Set("response_type", "code")
	query.Set("client_id", c.ID)
	query.Set("redirect_uri", c.RedirectURI)
	query.Del("state")
	if state != "" {
		query.Set("state", state)
	}
	if len(c.Scopes) > 0 {
		query.Set("scope", c.scope())
	}
	if c.PKCE {
		query.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
		query.Set("code_challenge_method", "S256")
	}
	if c.asksOpenID() && nonce != "" {
		query.Set("nonce", nonce)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func (c *Client) scope() string {
	separator := c.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	return strings.Join(c.Scopes, separator)
}
