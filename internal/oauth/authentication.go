// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// assertionTimeout bounds the making of an assertion, which may take a request of its own.
const assertionTimeout = 10 * time.Second

// assertionType says that a client assertion is a JWT (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// basic says whether the client authenticates in the header (RFC 6749 section 2.3.1).
func (c *Client) basic() bool {
	switch c.Authentication {
	case Post, PrivateKeyJWT, TLS, ServiceAccountToken, None:
		return false
	}
	return c.ID != ""
}

// credentials are what identifies and authenticates the client in the body. The error is an *Error.
func (c *Client) credentials(ctx context.Context) (url.Values, error) {
	values := url.Values{}
	if c.basic() {
		return values, nil
	}
	if c.ID != "" {
		values.Set("client_id", c.ID)
	}
	switch c.Authentication {
	case Post:
		if !c.Secret.IsZero() {
			values.Set("client_secret", c.Secret.Reveal())
		}
	case PrivateKeyJWT, ServiceAccountToken:
		assertion, err := obtain(ctx, c.Assertion, "the client's assertion could not be made")
		if err != nil {
			return nil, err
		}
		values.Set("client_assertion_type", assertionType)
		values.Set("client_assertion", assertion.Reveal())
	}
	return values, nil
}

// subject is what a request of JWTBearer or TokenExchange rests on. The error is an *Error.
func (c *Client) subject(ctx context.Context) (Secret, error) {
	return obtain(ctx, c.Subject.Token, "the subject's token could not be obtained")
}

// obtain makes an assertion or reads a token. Where it fails nothing was sent.
func obtain(ctx context.Context, from func(context.Context) (Secret, error), cause string) (Secret, error) {
	failure := &Error{Kind: Unreachable, Cause: cause}
	if from == nil {
		return Secret{}, failure
	}
	ctx, cancel := context.WithTimeout(ctx, assertionTimeout)
	defer cancel()
	made, err := from(ctx)
	if own, ok := errors.AsType[*Error](err); ok {
		return Secret{}, own
	}
	if err != nil || made.IsZero() {
		return Secret{}, failure
	}
	return made, nil
}
