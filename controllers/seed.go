// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// plant starts the grant from spec.seed where nothing is held, or only what is over. It returns what is
// missing all the same, or nil where renew can go on.
func (p *pass) plant(ctx context.Context, missing *stop) *stop {
	if missing == nil || p.conn.Spec.Seed == nil || !p.overgrown() {
		return missing
	}
	if asked := p.conn.Annotations[v1alpha1.DisconnectRequestedAnnotation]; p.record == nil && asked != "" {
		missing.Message = "the grant was given up on request; to start from spec.seed again remove the annotation " +
			v1alpha1.DisconnectRequestedAnnotation + ", or connect"
		return missing
	}
	seed, err := p.Resolver.Seed(ctx, p.conn)
	if err != nil && p.record == nil {
		return seedStop(err)
	}
	if err != nil || p.record != nil && p.record.Seed == seed.Hash() {
		missing.Retry = secretPoll // another one may be put there, which nobody tells of
		return missing
	}
	fresh := p.record.Anew()
	fresh.Fingerprint, fresh.Grant, fresh.RequestedScopes = p.client.Fingerprint, string(p.conn.Spec.Grant), p.client.Scopes
	fresh.Token.RefreshToken, fresh.Seed, fresh.AuthorizedAt, fresh.Spec = seed, seed.Hash(), p.now, provider.Keep(p.conn)
	p.record = fresh
	return nil
}

// overgrown says whether there is room for a seed: nothing is held, the grant has ended or is another
// client's, or an earlier seed turned out to be of another account.
func (p *pass) overgrown() bool {
	r := p.record
	switch {
	case r == nil:
		return true
	case r.Ended == endedUnreadable:
		return false
	}
	return r.Ended != "" || r.Fingerprint != p.client.Fingerprint || r.Seed != "" && p.otherAccount()
}

// seedStop is resolveStop for a seed; what is no message for people is the API server's.
func seedStop(err error) *stop {
	var halt *stop
	if errors.As(resolveStop(err), &halt) {
		return halt
	}
	return &stop{Reason: v1alpha1.ReasonProgressing, Retry: inFlightRetry, Message: "spec.seed could not be read; it is tried again"}
}
