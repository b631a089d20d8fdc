// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Account names the account behind a fresh token answer, or "" where it cannot be told. An error
// means only that the provider's user endpoint did not answer: the token is good nonetheless.
func (r *Resolved) Account(ctx context.Context, token *oauth.Token) (string, error) {
	return "", nil
}
