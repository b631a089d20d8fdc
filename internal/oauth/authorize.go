// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// maxRequestURI bounds the reference to a pushed request.
const maxRequestURI = 2048

// Authorize returns where the person is sent. What is asked for goes to the provider directly where it
// takes that (RFC 9126), else it stands in the address. The error is an *Error.
func (c *Client) Authorize(ctx context.Context, state, verifier, nonce string) (string, error) {
	params := c.authorizationRequest(state, verifier, nonce)
	if c.Endpoints.PushedAuthorizationRequest != "" {
		reference, err := c.push(ctx, params)
		if err != nil {
			return "", err
		}
		params = url.Values{"client_id": {c.ID}, "request_uri": {reference}}
	}
	address := c.authorizationAddress(params)
	if address == "" {
		return "", &Error{Kind: Misconfigured, Cause: "the authorization endpoint's address cannot be used"}
	}
	return address, nil
}

// push returns the provider's reference to a request (RFC 9126 section 2).
func (c *Client) push(ctx context.Context, params url.Values) (string, error) {
	body, err := c.ask(ctx, c.Endpoints.PushedAuthorizationRequest, "request_uri", params,
		wording{names: c.Dialect.AuthorizationNames})
	if err != nil {
		return "", err
	}
	reference := text(body, "request_uri")
	if reference == "" || len(reference) > maxRequestURI || strings.ContainsFunc(reference, unprintable) {
		return "", &Error{Kind: Unexpected, Cause: "the answer holds no reference to the pushed request that could be used"}
	}
	return reference, nil
}

// AuthorizationURL is where the person is sent (RFC 6749 section 4.1.1). It returns "" where the
// endpoint is no address. A query that the endpoint already has is kept; the protocol's own
// parameters win over it and over AuthorizationParams. nonce is sent with scope openid only.
func (c *Client) AuthorizationURL(state, verifier, nonce string) string {
	return c.authorizationAddress(c.authorizationRequest(state, verifier, nonce))
}

// authorizationAddress adds parameters to the authorization endpoint.
func (c *Client) authorizationAddress(params url.Values) string {
	u, err := url.Parse(c.Endpoints.Authorization)
	if err != nil || u.Host == "" {
		return ""
	}
	query := u.Query()
	query.Del("state") // never somebody else's
	for name, value := range rename(params, c.Dialect.AuthorizationNames) {
		query[name] = value
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// authorizationRequest is what the client asks for, in the words of the RFCs.
func (c *Client) authorizationRequest(state, verifier, nonce string) url.Values {
	params := url.Values{}
	for name, value := range c.AuthorizationParams {
		params.Set(name, value)
	}
	params.Set("response_type", "code")
	params.Set("client_id", c.ID)
	params.Set("redirect_uri", c.RedirectURI)
	params.Del("state")
	if state != "" {
		params.Set("state", state)
	}
	if len(c.Scopes) > 0 {
		params.Set("scope", c.scope())
	}
	if c.PKCE {
		params.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
		params.Set("code_challenge_method", "S256")
	}
	if c.asksOpenID() && nonce != "" {
		params.Set("nonce", nonce)
	}
	return params
}

func (c *Client) scope() string { return c.joined(c.Scopes) }

// joined writes scopes as the provider takes them.
func (c *Client) joined(scopes []string) string {
	separator := c.ScopeSeparator
	if separator == "" {
		separator = " "
	}
	return strings.Join(scopes, separator)
}
