// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"maps"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Metadata works out the values that the provider's description keeps: of the redirect's query, and of
// a token answer, which is empty before the exchange. What neither gives stays as held. The texts name
// the rules that gave something else than they should, in fixed words.
func (r *Resolved) Metadata(ctx context.Context, token *oauth.Token, callback, held map[string]string) (map[string]string, []string) {
	return maps.Clone(held), nil
}

// For is the client with the endpoints filled in from metadata. The error is an *Error that names what
// is missing.
func (r *Resolved) For(metadata map[string]string) (*oauth.Client, error) {
	c := r.Client
	return &c, nil
}
