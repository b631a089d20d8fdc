// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// weighTimeout bounds the question whether a refresh token is still good.
	weighTimeout = 5 * time.Second
	// lastMoment is how long before the access token's end a refresh token is sent that the provider calls
	// inactive: enough to publish what comes of it.
	lastMoment = time.Minute
	// codeInactive in a Failure means that the refresh token was not sent, because the introspection
	// endpoint calls it inactive.
	codeInactive = "inactive"
)

// suspect looks at a record that was just read for an attempt that nobody ended: another process died, or
// this one was cut off by a panic or could not write how the attempt failed.
func (p *pass) suspect() {
	r, i := p.record, p.record.Intent
	switch {
	case r.Doubt != nil, i == nil, !renewable(r), i.RefreshTokenHash != r.Token.RefreshToken.Hash(), p.Store.Harmless(p.key, r):
		return
	}
	if until := p.Store.FencedUntil(p.key, r); p.now.Before(until) {
		p.wake(until) // whatever else the connection waits for until then
		if p.now.Before(i.Deadline) {
			return
		}
	}
	r.Doubt = &tokenstore.Doubt{Since: begunAt(i), Cause: tokenstore.DoubtInterrupted}
}

// begunAt is when an attempt was announced.
func begunAt(i *tokenstore.Intent) time.Time { return i.Deadline.Add(-tokenstore.IntentLifetime) }

// mayRotate says whether a request can spend the held refresh token. While the provider's description is not
// at hand that has to be feared.
func (p *pass) mayRotate() bool {
	return !p.actsForItself() && renewable(p.record) && (p.client == nil || p.client.Rotation != oauth.Static)
}

// doubted says whether the refresh token may be spent.
func (p *pass) doubted() bool { return p.record.Doubt != nil && p.mayRotate() }

// atRisk says whether the provider may refuse the refresh token because it is spent: a window in which it
// would still be honoured is over.
func (p *pass) atRisk() bool { return p.doubted() && !p.Clock.Now().Before(p.honouredUntil()) }

// honouredUntil is how long the provider honours a refresh token that may be spent; zero: not at all.
func (p *pass) honouredUntil() time.Time {
	if p.client == nil || p.client.RetryWindow <= 0 {
		return time.Time{}
	}
	since := p.record.Doubt.Since
	if p.record.Doubt.Cause == tokenstore.DoubtRestored {
		since = p.record.Token.Obtained // when it was spent is not known; not before
	}
	return since.Add(p.client.RetryWindow)
}

// weigh decides whether a refresh token that may be spent is sent (design section 6, step 7). A *stop means
// that it is not, for now.
//
// A provider that calls it inactive is believed so far that it is not sent while the access token works:
// where reuse is detected that would end it. It is no proof. Many endpoints know access tokens only, and a
// grant that lives would be given up for it; so at the end, when nothing is left to lose, it is sent.
func (p *pass) weigh(ctx context.Context, client *oauth.Client, insisted bool) error {
	if !p.atRisk() {
		return nil
	}
	log.FromContext(ctx).Info("the refresh token may be spent", "cause", p.record.Doubt.Cause, "since", p.record.Doubt.Since)
	if insisted || client.Endpoints.Introspection == "" {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, weighTimeout)
	defer cancel()
	found, err := client.IntrospectRefreshToken(asking, p.record.Token.RefreshToken)
	if failure, ok := errors.AsType[*oauth.Error](err); ok {
		log.FromContext(ctx).Info("introspection failed", "kind", failure.Kind.String(), "code", failure.Code, "status", failure.Status)
	}
	switch {
	case err != nil:
	case found.Active:
		p.record.Doubt = nil
	case !p.record.Token.AccessToken.IsZero() && (p.record.Token.Expiry.IsZero() || p.Clock.Now().Before(p.lastChance())):
		return p.holdBack(ctx)
	}
	return p.begin(ctx) // asking took time off the fence
}

// lastChance is when a refresh token that the provider calls inactive is sent all the same; zero where the
// access token does not end.
func (p *pass) lastChance() time.Time {
	if p.record.Token.Expiry.IsZero() {
		return time.Time{}
	}
	return p.record.Token.Expiry.Add(-lastMoment)
}

// holdBack ends the attempt without a request.
func (p *pass) holdBack(ctx context.Context) error {
	p.answerRefreshRequest()
	f := p.nextTry(&oauth.Error{Kind: oauth.Ambiguous, Code: codeInactive})
	f.RetryAt = p.lastChance()
	saved, err := p.Store.Fail(ctx, p.key, p.record, f)
	if err != nil {
		return err
	}
	p.record = saved
	return p.failureStop()
}

// heldBack says whether the last attempt sent nothing because of what introspection said.
func heldBack(f *tokenstore.Failure) bool { return f != nil && f.Code == codeInactive }

// heldBackStop asks for a person early: workloads have a token that works until then.
func (p *pass) heldBackStop(halt *stop) *stop {
	p.personNeeded = true
	halt.Stalled, halt.Reason = true, v1alpha1.ReasonAtRisk
	halt.Message = fmt.Sprintf("%s, and %s calls it inactive; it is not sent while the access token works, because that can end the access token too",
		p.feared(), p.client.DisplayName)
	if at := p.record.Failure.RetryAt; !at.IsZero() {
		halt.Message += "; it is tried all the same at " + clockTime(at)
	}
	halt.Message += "; " + p.howToConnect() + "; or to try the refresh token now: " + p.refreshCommand()
	return halt
}

// doubtAnswer notes that a failed request may have spent the refresh token.
func (p *pass) doubtAnswer(kind oauth.Kind) {
	if (kind == oauth.Ambiguous || kind == oauth.Transient) && p.mayRotate() && p.record.Doubt == nil {
		p.record.Doubt = &tokenstore.Doubt{Since: begunAt(p.record.Intent), Cause: tokenstore.DoubtUnanswered}
	}
}

// withDoubt adds to what stopped a renewal that the refresh token may be spent. What somebody has to mend
// first keeps its reason.
func (p *pass) withDoubt(halt *stop) *stop {
	switch {
	case !p.doubted():
		return halt
	case !p.atRisk():
		halt.Message += fmt.Sprintf("; %s, and the provider honours it until %s", p.feared(), clockTime(p.honouredUntil()))
		return halt
	}
	if k := p.record.Failure.Kind; k != oauth.ClientRejected && k != oauth.Misconfigured && k != oauth.Blocked {
		halt.Reason = v1alpha1.ReasonAtRisk
	}
	halt.Message += fmt.Sprintf("; %s; there is nothing to do unless the provider refuses it, then %s", p.feared(), p.howToConnect())
	return halt
}

// riskAhead is what is said of a refresh token that may be spent before it is needed.
func (p *pass) riskAhead() *stop {
	message := p.feared()
	if p.refreshAt.IsZero() {
		message += "; it is not needed while the access token works; to try it now: " + p.refreshCommand()
	} else {
		message += "; it is tried at " + clockTime(p.refreshAt) + "; to try it now: " + p.refreshCommand()
	}
	return &stop{Reason: v1alpha1.ReasonAtRisk, Message: message + "; if the provider refuses it, " + p.howToConnect()}
}

// feared says what happened while nobody knows what came of it.
func (p *pass) feared() string {
	d := p.record.Doubt
	at := clockTime(d.Since)
	switch d.Cause {
	case tokenstore.DoubtInterrupted:
		return "the renewal that began at " + at + " was cut off before its outcome was stored (the operator was killed, or could not write), so the refresh token may be spent"
	case tokenstore.DoubtRestored:
		return "the stored grant came back from a backup: it is older than the token obtained at " + at + ", so its refresh token is probably spent"
	default:
		return "the renewal that began at " + at + " got no answer that can be used, so the refresh token may be spent"
	}
}

// lost says what happened once the provider has refused the refresh token.
func (p *pass) lost() string {
	d := p.record.Doubt
	at := clockTime(d.Since)
	switch d.Cause {
	case tokenstore.DoubtInterrupted:
		return "the operator was killed, or could not write, between the provider's answer to the renewal of " + at + " and its journal, and the new refresh token was lost with it"
	case tokenstore.DoubtRestored:
		return "the stored grant was restored from a backup: its refresh token was spent before, and the one obtained at " + at + " is not in the backup"
	default:
		return "the provider's answer to the renewal of " + at + " never arrived, and the new refresh token was lost with it"
	}
}

// endedWords say why the provider refused the grant, with what is known of the time before.
func (p *pass) endedWords(code string) string {
	what := "the provider ended the grant (" + code + ")"
	if !p.doubted() {
		return p.inWords(what, p.record.EndedCode, ": it was revoked, replaced or has expired")
	}
	if words := p.inWords(what, p.record.EndedCode, ""); words != what {
		return words + "; what is known besides: " + p.lost()
	}
	return what + ", most likely because " + p.lost()
}

// inFlight is what is said while another process may be using the refresh token.
func (p *pass) inFlight() *stop {
	halt := &stop{Reason: v1alpha1.ReasonProgressing, Retry: inFlightRetry, Message: "another process of the operator began a renewal that has not ended"}
	if i, until := p.record.Intent, p.Store.FencedUntil(p.key, p.record); i != nil && !until.IsZero() {
		halt.Retry = min(max(until.Sub(p.now), time.Millisecond), tokenstore.IntentLifetime)
		halt.Message = fmt.Sprintf("the renewal that another process of the operator began at %s has not ended; if that process died, it is taken over at %s and nothing is to be done",
			clockTime(begunAt(i)), clockTime(until))
		if p.doubted() {
			halt.Reason = v1alpha1.ReasonAtRisk
			halt.Message = p.feared() + "; it is tried at " + clockTime(until) + ", and there is nothing to do unless the provider refuses it then"
		}
	}
	return halt
}
