// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// introspectFor is how long after it was obtained a token's life is asked for, introspectRetry how
	// soon again after a provider that did not answer.
	introspectFor, introspectRetry = time.Hour, time.Minute
	// introspectTimeout bounds one request: workers wait for it, and a new token is published after it.
	introspectTimeout = 10 * time.Second
)

// learn finds out what goes with a token that was just saved: nothing of it can cost the token any more.
func (p *pass) learn(ctx context.Context, token *oauth.Token) error {
	next, doubted := *p.record, p.record.IDTokenCause
	believed := *token
	next.IDTokenCause, believed.IDToken = p.judgeIDToken(ctx, token)
	var issues []string
	next.Metadata, issues = p.client.Metadata(ctx, &believed, nil, next.Metadata)
	next.Issues = slices.Concat(token.Issues, issues)
	seeded := next.Seed != "" && next.Account == ""
	if seeded {
		p.nameAccount(ctx, &next, &believed)
	}
	p.introspect(ctx, &next)
	if err := p.amend(ctx, &next); err != nil {
		return err
	}
	if seeded || next.IDTokenCause != doubted {
		// What authorize said a moment ago is overtaken.
		return p.settleAgain(ctx)
	}
	return nil
}

// judgeIDToken says what is wrong with the ID token that came last, and returns the one to be believed.
// Without the provider's keys one is believed as at consent: it came from the token endpoint itself.
func (p *pass) judgeIDToken(ctx context.Context, token *oauth.Token) (cause string, believed oauth.Secret) {
	said := p.record.IDTokenCause
	if token.IDToken.IsZero() {
		return said, oauth.Secret{}
	}
	wrong, ok := errors.AsType[*provider.IDTokenError](p.client.VerifyIDToken(ctx, token, ""))
	switch {
	case !ok:
		return "", token.IDToken
	case !wrong.Unchecked:
		return wrong.Cause, oauth.Secret{}
	}
	log.FromContext(ctx).Info("an ID token was not verified", "cause", wrong.Cause)
	if p.client.CheckIDToken(token, "") != nil {
		return said, oauth.Secret{}
	}
	return said, token.IDToken
}

// nameSeeded asks again whose a seeded grant is where only that keeps it from being used.
func (p *pass) nameSeeded(ctx context.Context) error {
	r := p.record
	if r == nil || r.Seed == "" || r.Account != "" || !p.otherAccount() || r.Fingerprint != p.client.Fingerprint {
		return nil
	}
	next := *r
	p.nameAccount(ctx, &next, &next.Token)
	return p.amend(ctx, &next)
}

// nameAccount asks whose a seeded grant is: nobody was there to consent.
func (p *pass) nameAccount(ctx context.Context, next *tokenstore.Record, token *oauth.Token) {
	account, err := p.client.Account(ctx, token, nil)
	if err != nil {
		log.FromContext(ctx).Error(err, "asking for the account's name; it stays unknown")
	}
	if misfit, ok := errors.AsType[*provider.AccountError](err); ok && !slices.Contains(next.Issues, misfit.Issue) {
		next.Issues = append(slices.Clone(next.Issues), misfit.Issue)
	}
	next.Account = account
}

// introspect asks for the life of a token whose answer did not say it (RFC 7662), once for each token.
func (p *pass) introspect(ctx context.Context, next *tokenstore.Record) {
	if !lifeUnknown(next, p.now) || p.client.Endpoints.Introspection == "" {
		return
	}
	client, err := p.client.For(next.Metadata)
	if err != nil {
		return // renew says so when it is due
	}
	ctx, cancel := context.WithTimeout(ctx, introspectTimeout)
	defer cancel()
	found, err := client.Introspect(ctx, next.Token.AccessToken)
	if failure, ok := errors.AsType[*oauth.Error](err); ok {
		log.FromContext(ctx).Info("introspection failed", "kind", failure.Kind.String(), "code", failure.Code, "status", failure.Status)
		if again := []oauth.Kind{oauth.Unreachable, oauth.Transient, oauth.Throttled, oauth.Ambiguous}; slices.Contains(again, failure.Kind) {
			p.wake(p.now.Add(max(introspectRetry, failure.RetryAfter)))
			return
		}
	}
	next.Introspected = true
	switch {
	case err != nil:
	case !found.Active:
		next.Issues = append(slices.Clone(next.Issues), "the introspection endpoint calls the token inactive")
	case found.Expiry.After(next.Token.Obtained): // one that never lived would be renewed without end
		next.Token.Expiry = found.Expiry
	}
}

// lifeUnknown says whether it is worth asking how long a token lives.
func lifeUnknown(r *tokenstore.Record, now time.Time) bool {
	return !r.Introspected && r.Token.Expiry.IsZero() && !r.Token.AccessToken.IsZero() && now.Sub(r.Token.Obtained) < introspectFor
}

// amend stores what was learnt, if anything was, and what the connection says now.
func (p *pass) amend(ctx context.Context, next *tokenstore.Record) error {
	r := p.record
	if next.Spec = provider.Keep(p.conn); bytes.Equal(next.Spec, r.Spec) && next.Account == r.Account && next.IDTokenCause == r.IDTokenCause && next.Introspected == r.Introspected &&
		maps.Equal(next.Metadata, r.Metadata) && slices.Equal(next.Issues, r.Issues) {
		return nil
	}
	saved, err := p.Store.Amend(ctx, p.key, next)
	if err != nil {
		return err
	}
	p.record = saved
	p.refreshAt = dueAt(saved, p.schedule())
	return nil
}

// settleAgain asks authorize again, in the place of what it has said.
func (p *pass) settleAgain(ctx context.Context) error {
	p.results = slices.DeleteFunc(p.results, func(r result) bool { return r.condition == v1alpha1.AuthorizedCondition })
	return p.settleStep(v1alpha1.AuthorizedCondition, p.authorize(ctx))
}
