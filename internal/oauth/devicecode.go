// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"time"
)

// DeviceCode is the grant of RFC 8628. A person consents once, in any browser anywhere; from then on its
// refresh token is used.
type DeviceCode struct{}

// Token refreshes held.
func (DeviceCode) Token(ctx context.Context, c *Client, held *Token) (*Token, error) {
	return c.Refresh(ctx, held)
}

// DeviceAuthorization is what a person is told (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	DeviceCode Secret
	// UserCode is printable ASCII of at most 64 characters.
	UserCode string
	// VerificationURI and VerificationURIComplete, which may be empty, are absolute addresses of http
	// or https.
	VerificationURI, VerificationURIComplete string
	// Expires is when both codes end.
	Expires time.Time
	// Interval is how long to wait between polls at least.
	Interval time.Duration
}

// AskDevice asks for a device code (RFC 8628 section 3.1). The error is an *Error.
func (c *Client) AskDevice(_ context.Context) (*DeviceAuthorization, error) {
	return nil, &Error{Kind: Misconfigured, Cause: "not yet"}
}

// PollDevice asks whether the person has consented (RFC 8628 section 3.4). The error is an *Error, whose
// Code is authorization_pending, slow_down, access_denied or expired_token where the provider says so.
func (c *Client) PollDevice(_ context.Context, _ Secret) (*Token, error) {
	return nil, &Error{Kind: Misconfigured, Cause: "not yet"}
}
