// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/pace"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// inFlightRetry is how soon to look again where it is not known how long that is needed.
	inFlightRetry = 5 * time.Second
	// unsavedRetry is how soon to look whether the token store's keeper got its record saved.
	unsavedRetry = 2 * time.Second
)

// renew gets the next token when it is due.
func (p *pass) renew(ctx context.Context) error {
	if p.Store.Pending(p.conn.UID) {
		return unsaved()
	}
	grant, ok := oauth.GrantFor(string(p.conn.Spec.Grant))
	if !ok {
		return fmt.Errorf("grant %s is not implemented", p.conn.Spec.Grant)
	}
	if p.record == nil || p.record.Fingerprint != p.client.Fingerprint {
		p.startRecord()
	}
	p.teach()
	p.refreshAt = dueAt(p.record, p.schedule())
	if p.mustRenew() {
		return p.obtain(ctx, grant)
	}
	p.acknowledgeRefresh() // it was done, or without a refresh token there is nothing to be done
	next := *p.record
	p.introspect(ctx, &next)
	if err := p.amend(ctx, &next); err != nil {
		return err
	}
	return p.notDue()
}

func unsaved() *stop {
	return &stop{Reason: v1alpha1.ReasonTokenUnsaved, Retry: unsavedRetry,
		Message: "a new token is held in memory until the API server takes it; nothing is lost while the operator runs"}
}

// startRecord is for grants that need no person. What an older client obtained is forgotten.
func (p *pass) startRecord() {
	fresh := p.record.Anew()
	if p.record != nil {
		fresh.Refreshes = p.record.Refreshes
	}
	fresh.Fingerprint, fresh.Grant, fresh.RequestedScopes = p.client.Fingerprint, string(p.conn.Spec.Grant), p.client.Scopes
	fresh.Spec = provider.Keep(p.conn)
	p.record = fresh
}

func (p *pass) schedule() oauth.Schedule {
	s := oauth.Schedule{Earliest: p.client.Earliest, Seed: string(p.conn.UID)}
	if renewable(p.record) {
		s.IdleTimeout = p.client.IdleTimeout
	}
	if r := p.conn.Spec.Refresh; r != nil && r.Before != nil {
		s.Before = r.Before.Duration
	}
	return s
}

// mustRenew decides from the record alone; status is for people.
func (p *pass) mustRenew() bool {
	switch r := p.record; {
	case r.Token.AccessToken.IsZero() && r.Failure == nil:
		return true
	case !p.actsForItself() && !renewable(r):
		return false
	case p.toldToWait():
		return false
	case r.Intent != nil, p.refreshRequested():
		return true // an attempt that nobody ended is decided, whatever else is to be done
	case p.backingOff():
		return false
	case r.Failure != nil, r.Token.AccessToken.IsZero():
		return true
	case r.Doubt != nil && !p.atRisk():
		return true // a backup came back, and there is nothing to fear from finding out
	case p.actsForItself() && !slices.Equal(p.client.Scopes, r.RequestedScopes):
		return true
	case p.ahead(r.Token.Obtained):
		return true // when it ends is not known
	default:
		return !p.refreshAt.IsZero() && !p.now.Before(p.refreshAt)
	}
}

// backingOff says whether the last failure still asks to wait. A change of spec, of the provider
// object or of the client's Secret ends that at once.
func (p *pass) backingOff() bool {
	f := p.record.Failure
	if f == nil || p.ahead(f.At) || f.Generation != p.conn.Generation || f.Revision != p.client.Revision {
		return false
	}
	return f.RetryAt.IsZero() || p.now.Before(f.RetryAt)
}

// toldToWait says whether the provider asked to be left alone for now (Retry-After). That ends neither by a
// change nor by a person's request.
func (p *pass) toldToWait() bool {
	f := p.record.Failure
	return f != nil && p.now.Before(f.NotBefore) && !p.ahead(f.At)
}

// ahead says that something was stored by a clock which has been set back since: what was to follow from then
// on is not to be waited for. Replicas' clocks differ by a second.
func (p *pass) ahead(stored time.Time) bool { return stored.Sub(p.now) > time.Minute }

// refreshRequested says whether somebody asked for a renewal that was not acted on. The record knows
// it where the status could not be written after the attempt, or comes late from the cache.
func (p *pass) refreshRequested() bool {
	asked := p.conn.Annotations[v1alpha1.RefreshRequestedAnnotation]
	return asked != "" && asked != p.conn.Status.LastHandledRefresh && requestHash(asked) != p.record.Request
}

// requestHash stands for the value of an annotation, which may be long.
func requestHash(asked string) string { return oauth.NewSecret(asked).Hash() }

// answerRefreshRequest remembers and tells which request for a renewal the attempt answers.
func (p *pass) answerRefreshRequest() {
	if p.refreshRequested() {
		p.record.Request = requestHash(p.conn.Annotations[v1alpha1.RefreshRequestedAnnotation])
	}
	p.acknowledgeRefresh()
}

// acknowledgeRefresh tells who asked for a renewal that this was decided.
func (p *pass) acknowledgeRefresh() {
	if asked := p.conn.Annotations[v1alpha1.RefreshRequestedAnnotation]; asked != "" {
		p.conn.Status.LastHandledRefresh = asked
	}
}

// notDue tells how the token stands while nothing is to be done.
func (p *pass) notDue() error {
	if p.record.Failure != nil {
		return p.failureStop()
	}
	p.wake(p.refreshAt)
	if expired(p.record, p.now) {
		return &stop{Reason: v1alpha1.ReasonTokenExpired, Message: p.expiredMessage(), Stalled: p.refreshAt.IsZero()}
	}
	p.wake(p.record.Token.Expiry)
	if p.atRisk() {
		return p.riskAhead()
	}
	if issues := p.record.Issues; len(issues) > 0 {
		return p.done(v1alpha1.TokenFreshCondition, v1alpha1.ReasonResponseInvalid,
			"a token is held, and "+connect.Misfit(issues)+", then "+p.refreshCommand())
	}
	return p.done(v1alpha1.TokenFreshCondition, v1alpha1.ReasonFresh, p.freshMessage())
}

func (p *pass) freshMessage() string {
	switch t := p.record.Token; {
	case oauth.ShortLived(&t) && !p.refreshAt.IsZero():
		return p.shortLivedMessage()
	case t.Expiry.IsZero() && !p.refreshAt.IsZero():
		return "the provider tells no expiry: the access token is renewed so that its refresh token stays alive"
	case t.Expiry.IsZero():
		return "the provider tells no expiry: the access token is not renewed unless the provider's refresh.tokenLifetime is set"
	case p.refreshAt.IsZero():
		return "the provider gave no refresh token, so a person has to connect again when the access token expires; many give one only for a scope such as offline_access"
	default:
		return "the access token is valid and renewed before it expires"
	}
}

func (p *pass) expiredMessage() string {
	if oauth.ShortLived(&p.record.Token) && !p.refreshAt.IsZero() {
		return p.shortLivedMessage()
	}
	return "the access token expired"
}

// shortLivedMessage reads the same while the token is valid and after.
func (p *pass) shortLivedMessage() string {
	t := &p.record.Token
	return fmt.Sprintf("%s gives access tokens that live for %s, too short to be kept valid: one is asked for every %s; let them live for a minute at least, at the provider, then %s",
		p.client.DisplayName, t.Expiry.Sub(t.Obtained), oauth.RestlessInterval, p.refreshCommand())
}

// obtain makes one token request between an intent and a save (design section 6).
func (p *pass) obtain(ctx context.Context, grant oauth.Grant) error {
	client, err := p.client.For(p.record.Metadata)
	if err == nil && !p.actsForItself() {
		err = p.client.Renewable(p.record.Metadata)
	}
	if err != nil {
		return resolveStop(err)
	}
	permit, err := p.enter(client)
	if permit == nil {
		return err
	}
	defer permit.End(pace.Outcome{})
	held := p.record.Token
	crashpoint.Reach(crashpoint.Decided, p.conn.UID)
	if err := p.begin(ctx); err != nil {
		return err
	}
	defer p.Store.Abandon(p.key) // a panic must not keep the process from ending
	if wait, ok := permit.Withdrawn(); ok {
		return p.withdraw(ctx, wait)
	}
	insisted := heldBack(p.record.Failure) && p.refreshRequested()
	if err := p.weigh(ctx, client, insisted); err != nil {
		return err
	}
	if wait, ok := permit.Withdrawn(); ok { // weighing took its time
		return p.withdraw(ctx, wait)
	}
	p.answerRefreshRequest()

	started := p.Clock.Now()
	crashpoint.Reach(crashpoint.RequestBefore, p.conn.UID)
	token, err := grant.Token(ctx, client, &held)
	permit.End(outcome(err))
	p.Metrics.observeRefresh(err, p.Clock.Now().Sub(started))
	if err != nil {
		crashpoint.Reach(crashpoint.Refused, p.conn.UID)
		return p.refused(ctx, token, err)
	}
	crashpoint.Reach(crashpoint.Answered, p.conn.UID)
	return p.keep(ctx, held, token)
}

// begin announces the request.
func (p *pass) begin(ctx context.Context) error {
	begun, err := p.Store.Begin(ctx, p.key, p.record)
	switch {
	case errors.Is(err, tokenstore.ErrInFlight):
		return p.inFlight()
	case errors.Is(err, tokenstore.ErrUnsaved):
		return unsaved()
	case err != nil:
		return err
	}
	p.record = begun
	return nil
}

// withdraw ends an attempt before its request: the provider asked to wait while it was announced.
func (p *pass) withdraw(ctx context.Context, w pace.Wait) error {
	stored, err := p.Store.Withdraw(ctx, p.key, p.record)
	if err != nil {
		return err
	}
	p.record = stored
	p.wake(w.Until)
	return p.inLine(w)
}

// keep saves the new token before anything else looks at it.
func (p *pass) keep(ctx context.Context, held oauth.Token, token *oauth.Token) error {
	next := *p.record
	next.Token, next.Previous, next.Failure, next.Ended, next.EndedCode = *token, held.AccessToken, nil, "", ""
	next.Issues, next.Introspected, next.Doubt = token.Issues, false, nil
	if !held.AccessToken.IsZero() {
		next.Refreshes++
	}
	if p.actsForItself() {
		next.RequestedScopes = p.client.Scopes
	}
	if err := p.save(ctx, &next); err != nil {
		return err
	}
	p.refreshAt = dueAt(p.record, p.schedule())
	if err := p.learn(ctx, token); err != nil {
		return err
	}
	return p.notDue()
}

// refused stores what the failure asks for, so that it holds over restarts. rescued is what the answer
// had all the same: the next refresh token, without an access token that could be read.
func (p *pass) refused(ctx context.Context, rescued *oauth.Token, cause error) error {
	var failure *oauth.Error
	if !errors.As(cause, &failure) {
		failure = &oauth.Error{Kind: oauth.Unreachable}
	}
	log.FromContext(ctx).Info("token request failed", "kind", failure.Kind.String(), "code", failure.Code, "status", failure.Status)
	if failure.Kind == oauth.Reauthorize {
		return p.ended(ctx, failure.Code)
	}
	if rescued != nil {
		return p.rescue(ctx, rescued, failure)
	}
	p.doubtAnswer(failure.Kind)
	p.record.Issues = failure.Issues
	saved, err := p.Store.Fail(ctx, p.key, p.record, p.nextTry(failure))
	if err != nil {
		return err
	}
	p.record = saved
	return p.failureStop()
}

// rescue saves a refresh token that takes the place of the one that was spent. With it nothing is at risk.
func (p *pass) rescue(ctx context.Context, token *oauth.Token, failure *oauth.Error) error {
	failure.Kind = oauth.Unexpected
	next, again := *p.record, p.nextTry(failure)
	next.Token, next.Failure, next.Issues, next.Doubt = *token, &again, failure.Issues, nil
	if err := p.save(ctx, &next); err != nil {
		return err
	}
	return p.failureStop()
}

// ended condemns the grant, unless the record holds another token by now: the store compares with
// the live record, and a newer consent or a sibling's newer token stays.
func (p *pass) ended(ctx context.Context, code string) error {
	dead := *p.record
	dead.Failure, dead.Ended, dead.EndedCode = nil, endedRefused, code
	if err := p.save(ctx, &dead); err != nil {
		return err
	}
	return p.settleAgain(ctx)
}

// save stores what came of an attempt.
func (p *pass) save(ctx context.Context, next *tokenstore.Record) error {
	saved, err := p.Store.Save(ctx, p.key, next)
	if errors.Is(err, tokenstore.ErrUnsaved) {
		p.record = next
		return unsaved()
	}
	if err != nil {
		return err
	}
	p.record = saved
	p.sightings.note(p.conn.UID, saved)
	return nil
}

// dueAt is when a record's token is renewed next; zero when it never is.
func dueAt(r *tokenstore.Record, s oauth.Schedule) time.Time {
	if r.Token.AccessToken.IsZero() || v1alpha1.GrantType(r.Grant).NeedsPerson() && !renewable(r) {
		return time.Time{}
	}
	return oauth.DueAt(&r.Token, s)
}

func expired(r *tokenstore.Record, now time.Time) bool {
	return !r.Token.Expiry.IsZero() && !now.Before(r.Token.Expiry)
}
