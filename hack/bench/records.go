// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// consent stores a grant as a callback does, except that no person was asked.
func (b *bench) consent(ctx context.Context, conn *v1alpha1.OAuthConnection, p *provider.Resolved) error {
	token, err := p.Exchange(ctx, oauth.NewSecret("code"), oauth.NewSecret("verifier"))
	if err != nil {
		return err
	}
	return b.records.Consent(ctx, conn, p, token)
}

// due is a refresh that is to happen.
type due struct {
	token string // the refresh token that will be spent
	at    time.Time
}
