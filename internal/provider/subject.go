// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Seed reads the refresh token that a connection starts from. The error is an *Error.
func (r *Resolver) Seed(ctx context.Context, conn *v1alpha1.OAuthConnection) (oauth.Secret, error) {
	return oauth.Secret{}, nil
}
