// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"maps"
	"slices"
	"time"
)

// lane is what is known of one client at one endpoint.
type lane struct {
	route    Route
	endpoint *endpoint
	share    share
	tempo    tempo
	// held is until when the provider asked a namespace to wait: what it says to one need not be meant for all.
	held map[string]time.Time
	used time.Time

	timer *time.Timer
	fires time.Time
}

// endpoint is what the lanes of its clients have in common.
type endpoint struct {
	breaker
	lanes map[*lane]struct{}
	// held is until when all wait for what one was told; spared is until when they do not again.
	held, spared time.Time
}

// learn takes an outcome in.
func (l *lane) learn(p *Permit, o Outcome, now time.Time) {
	switch o.Verdict {
	case Unused:
		p.probe.unused(now)
	case Failed:
		l.endpoint.failed(p.namespace, p.probe, now)
	default:
		l.endpoint.answered(p.namespace)
	}
	switch o.Verdict {
	case Succeeded:
		l.tempo.succeeded(now)
	case Throttled:
		l.tempo.throttled(p.sent, now)
		if o.RetryAfter <= 0 {
			l.hold(p.namespace, now.Add(unasked), now)
		}
	}
	if o.RetryAfter > 0 {
		l.hold(p.namespace, now.Add(o.RetryAfter), now)
		l.endpoint.hold(o.RetryAfter, now)
	}
}

// hold closes the lane to a namespace until then.
func (l *lane) hold(namespace string, until, now time.Time) {
	maps.DeleteFunc(l.held, func(_ string, until time.Time) bool { return !now.Before(until) })
	if l.held == nil {
		l.held = map[string]time.Time{}
	}
	if l.held[namespace].Before(until) {
		l.held[namespace] = until
	}
	l.closedUntil(namespace, now)
}

// hold closes the lanes of all for what one was told.
func (e *endpoint) hold(wait time.Duration, now time.Time) {
	if now.Before(e.spared) {
		return
	}
	wait = min(wait, longestForOthers)
	e.held = now.Add(wait)
	e.spared = e.held.Add(sparedFor * wait)
}

// heldUntil is until when all wait for what one was told.
func (e *endpoint) heldUntil(now time.Time) time.Time {
	if last := now.Add(longestForOthers); e.held.After(last) {
		e.held = last
	}
	return e.held
}

// closedUntil is until when the provider asked a namespace to wait.
func (l *lane) closedUntil(namespace string, now time.Time) time.Time {
	until, all := l.held[namespace], l.endpoint.heldUntil(now)
	if last := now.Add(longest); until.After(last) {
		until = last
		l.held[namespace] = last
	}
	if until.Before(all) {
		return all
	}
	return until
}

// opensAt is when the next request of anybody may be made.
func (l *lane) opensAt(now time.Time) time.Time {
	at := now.Add(l.tempo.delay(now))
	if until := l.endpoint.heldUntil(now); at.Before(until) {
		return until
	}
	return at
}

// opensFor is when a namespace may ask, unless it is busy finding out whether the endpoint is back.
func (l *lane) opensFor(namespace string, now time.Time) (at time.Time, busy bool) {
	at, busy = l.endpoint.opensAt(namespace, now)
	if until := l.closedUntil(namespace, now); at.Before(until) {
		at = until
	}
	return at, busy
}

// passes says whether a namespace may ask now.
func (l *lane) passes(namespace string, now time.Time) bool {
	at, busy := l.opensFor(namespace, now)
	return !busy && !now.Before(at)
}

// nextAt is when the next of those that wait may ask; zero where nothing but the end of something that is under way lets them.
func (l *lane) nextAt(now time.Time) (next time.Time) {
	opens := l.opensAt(now)
	for namespace, m := range l.share.members {
		at, busy := l.opensFor(namespace, now)
		if at.Before(opens) {
			at = opens
		}
		if len(m.line) > 0 && !busy && now.Before(at) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// stillOpen says whether a waiter that was called may go: the provider may have said no to others since.
func (l *lane) stillOpen(w *waiter, now time.Time) bool {
	return !now.Before(l.closedUntil(w.key.Namespace, now)) && (w.probe != nil || !l.endpoint.downFor(w.key.Namespace))
}

// concerned are the lanes in which somebody may wait for a request in this one: its own, and while the
// endpoint is down those of the others.
func (l *lane) concerned() []*lane {
	if !l.endpoint.down() {
		return []*lane{l}
	}
	return slices.Collect(maps.Keys(l.endpoint.lanes))
}

// wait says why somebody who asked was parked.
func (l *lane) wait(namespace string, now time.Time) Wait {
	if until := l.closedUntil(namespace, now); now.Before(until) {
		return Wait{Reason: Told, Until: until}
	}
	if at, busy := l.endpoint.opensAt(namespace, now); busy || now.Before(at) {
		return Wait{Reason: Down, Until: at}
	}
	if limit := l.tempo.perSecond(); limit > 0 {
		return Wait{Reason: Paced, Until: now.Add(time.Duration(float64(l.share.waiting) / limit * float64(time.Second)))}
	}
	return Wait{}
}

func (l *lane) restrained(now time.Time) bool {
	for _, until := range l.held {
		if now.Before(until) {
			return true
		}
	}
	return now.Before(l.endpoint.heldUntil(now)) || l.endpoint.down() || l.tempo.limiter != nil
}

// idle says whether nothing is lost when the lane is forgotten, or little, where there are many.
func (l *lane) idle(now time.Time, many bool) bool {
	limit := idle
	if !many && l.restrained(now) {
		limit = idleRestrained
	}
	return len(l.share.members) == 0 && now.Sub(l.used) > limit
}
