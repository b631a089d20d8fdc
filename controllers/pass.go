// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// pass is one walk through the steps for one connection.
type pass struct {
	*ConnectionReconciler
	conn *v1alpha1.OAuthConnection
	key  tokenstore.Key
	now  time.Time

	// client is set by resolve.
	client *provider.Resolved
	// record is what the token store holds; nil while that is nothing.
	record *tokenstore.Record
	// personNeeded is set by authorize.
	personNeeded bool
	// refreshAt is when the token is renewed next; zero when it never is.
	refreshAt time.Time

	results []result
	wakeAt  time.Time
}

// step is one question of the walk and the condition that answers it.
type step struct {
	condition string
	run       func(*pass, context.Context) error
	// always runs even after an earlier step stopped: a provider's outage must not keep a deleted
	// Secret from being healed.
	always bool
}

func steps() []step {
	return []step{
		{condition: v1alpha1.ClientResolvedCondition, run: (*pass).resolve},
		{condition: v1alpha1.AuthorizedCondition, run: (*pass).authorize},
		{condition: v1alpha1.TokenFreshCondition, run: (*pass).renew},
		{condition: v1alpha1.SecretPublishedCondition, run: (*pass).publish, always: true},
	}
}

// result is the answer of one step. A nil stop means that it is satisfied.
type result struct {
	condition       string
	reason, message string
	stop            *stop
}

// stop is the error of a step: why the walk ends and what follows from it.
type stop struct {
	Reason  string
	Message string
	// Stalled means that nothing changes until somebody changes something.
	Stalled bool
	// Retry is when to look again; zero means on a change only.
	Retry time.Duration
}

func (s *stop) Error() string { return s.Reason + ": " + s.Message }

// done notes that the step behind condition is satisfied.
func (p *pass) done(condition, reason, message string) error {
	p.results = append(p.results, result{condition: condition, reason: reason, message: message})
	return nil
}

// wake asks for another pass at t, unless an earlier one is asked for already.
func (p *pass) wake(t time.Time) {
	if !t.IsZero() && (p.wakeAt.IsZero() || t.Before(p.wakeAt)) {
		p.wakeAt = t
	}
}

// walk runs the steps. What it returns is an error of the API server, for the queue to retry.
func (p *pass) walk(ctx context.Context) error {
	for _, s := range steps() {
		if p.stopped() != nil && !s.always {
			continue
		}
		if err := p.settleStep(s.condition, s.run(p, ctx)); err != nil {
			return err
		}
	}
	return nil
}

// settleStep notes how a step ended. An error that is no *stop is handed back.
func (p *pass) settleStep(condition string, err error) error {
	var halt *stop
	if err == nil || !errors.As(err, &halt) {
		return err
	}
	if halt.Retry > 0 {
		p.wake(p.now.Add(halt.Retry))
	}
	p.results = append(p.results, result{condition: condition, reason: halt.Reason, message: halt.Message, stop: halt})
	return nil
}

// asked says whether the step behind condition was reached.
func (p *pass) asked(condition string) bool {
	return slices.ContainsFunc(p.results, func(r result) bool { return r.condition == condition })
}

// stopped is what ended the walk, or nil.
func (p *pass) stopped() *stop {
	for _, r := range p.results {
		if r.stop != nil {
			return r.stop
		}
	}
	return nil
}
