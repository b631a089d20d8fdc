// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Federation is somebody else whose signed tokens are believed, as in Microsoft Entra's federated
// credentials: a cluster's API server that signs tokens of ServiceAccounts, for instance.
type Federation struct {
	// Issuer and Audience are what a token has to name.
	Issuer, Audience string
	// Subject is whose tokens are believed; empty: everybody's.
	Subject string
	// Keys verify signatures, as oidc.NewRemoteKeySet does with a JWKS that it fetches.
	Keys oidc.KeySet
}

// subject verifies signature, issuer, audience, expiry and subject of a token.
func (f Federation) subject(ctx context.Context, token string) (string, bool) {
	config := &oidc.Config{ClientID: f.Audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256}}
	verified, err := oidc.NewVerifier(f.Issuer, f.Keys, config).Verify(ctx, token)
	if err != nil || f.Subject != "" && verified.Subject != f.Subject {
		return "", false
	}
	return verified.Subject, true
}

// trusted returns whom a token speaks of that one of Options.Trusts signed.
func (s *storage) trusted(ctx context.Context, token string) (string, bool) {
	for _, f := range s.options.Trusts {
		if subject, ok := f.subject(ctx, token); ok {
			return subject, true
		}
	}
	return "", false
}

// believes says whether an assertion is one of the client's federated credentials.
func (c *registration) believes(ctx context.Context, assertion string) bool {
	return slices.ContainsFunc(c.Federated, func(f Federation) bool {
		_, ok := f.subject(ctx, assertion)
		return ok
	})
}
