// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// resolve turns what the connection says into a client that can talk to the provider.
func (p *pass) resolve(ctx context.Context) error {
	resolved, err := p.Resolver.Described(ctx, p.conn)
	if p.client = resolved; err == nil && !p.atRest() {
		resolved, err = p.Resolver.Connection(ctx, p.conn)
	}
	if err != nil {
		p.client = nil
		if cause, ok := errors.AsType[*provider.Error](err); ok && cause.RedirectURI != "" {
			p.conn.Status.RedirectURI = cause.RedirectURI
		}
		return resolveStop(err)
	}
	p.client = resolved
	p.conn.Status.Provider = resolved.DisplayName
	p.conn.Status.RedirectURI = ""
	if p.conn.Spec.Grant == v1alpha1.GrantAuthorizationCode {
		p.conn.Status.RedirectURI = resolved.RedirectURI
	}
	return p.done(v1alpha1.ClientResolvedCondition, v1alpha1.ReasonResolved,
		"client of "+resolved.DisplayName+" is complete")
}

// atRest says whether a token is held that needs nothing from the provider now.
func (p *pass) atRest() bool {
	switch r := p.record; {
	case r == nil, r.Fingerprint != p.client.Fingerprint, r.Failure != nil, expired(r, p.now):
		return false
	case lifeUnknown(r, p.now) && (p.client.Endpoints.Introspection != "" || p.client.Issuer != ""):
		return false // somebody can be asked
	case !p.actsForItself() && p.grantMissing() != nil:
		return false
	}
	p.refreshAt = dueAt(p.record, p.schedule())
	return !p.mustRenew()
}

// resolveStop gives a provider's error its meaning for the walk.
func resolveStop(err error) error {
	var cause *provider.Error
	if !errors.As(err, &cause) {
		return err
	}
	return &stop{
		Reason:  cause.Reason,
		Message: cause.Message,
		Stalled: waitsForSomebody(cause),
		Retry:   cause.Retry,
	}
}

// waitsForSomebody tells what people got wrong from what comes back by itself: the issuer's metadata
// and the API server.
func waitsForSomebody(cause *provider.Error) bool {
	return cause.Reason != v1alpha1.ReasonDiscoveryFailed && cause.Reason != v1alpha1.ReasonProgressing
}
