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
	// held is until when the provider asked the client to wait.
	held time.Time
	used time.Time

	timer *time.Timer
	fires time.Time
}

// endpoint is what the lanes of its clients have in common.
type endpoint struct {
	breaker
	lanes map[*lane]struct{}
	// held is until when all wait for what one client was told; spared is until when they do not again.
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
			l.hold(now.Add(unasked), now)
		}
	}
	if o.RetryAfter > 0 {
		l.hold(now.Add(o.RetryAfter), now)
		l.endpoint.hold(o.RetryAfter, now)
	}
}

// hold closes the lane until then.
func (l *lane) hold(until, now time.Time) {
	if l.held.Before(until) {
		l.held = until
	}
	l.closedUntil(now)
}

// hold closes the lanes of all clients for what one was told.
func (e *endpoint) hold(wait time.Duration, now time.Time) {
	if now.Before(e.spared) {
		return
	}
	wait = min(wait, longestForOthers)
	e.held = now.Add(wait)
	e.spared = e.held.Add(sparedFor * wait)
}

// closedUntil is until when the provider asked to wait.
func (l *lane) closedUntil(now time.Time) time.Time {
	if last := now.Add(longest); l.held.After(last) {
		l.held = last
	}
	if last := now.Add(longestForOthers); l.endpoint.held.After(last) {
		l.endpoint.held = last
	}
	if l.held.Before(l.endpoint.held) {
		return l.endpoint.held
	}
	return l.held
}

// opensAt is when the next request may be made as far as the client is concerned.
func (l *lane) opensAt(now time.Time) time.Time {
	at := l.closedUntil(now)
	if now.Before(at) {
		return at
	}
	return now.Add(l.tempo.delay(now))
}

// probedAt is when the next of the namespaces that wait may find out whether an endpoint that is down is
// back; zero where nothing is known but that something is under way.
func (l *lane) probedAt(now time.Time) (next time.Time) {
	for namespace, m := range l.share.members {
		at, busy := l.endpoint.opensAt(namespace, now)
		if len(m.line) > 0 && !busy && now.Before(at) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// stillOpen says whether a waiter that was called may go: the provider may have said no to others since.
func (l *lane) stillOpen(w *waiter, now time.Time) bool {
	return !now.Before(l.closedUntil(now)) && (w.probe != nil || !l.endpoint.downFor(w.key.Namespace))
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
	if until := l.closedUntil(now); now.Before(until) {
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
	return now.Before(l.closedUntil(now)) || l.endpoint.down() || l.tempo.limiter != nil
}

// idle says whether nothing is lost when the lane is forgotten, or little, where there are many.
func (l *lane) idle(now time.Time, many bool) bool {
	limit := idle
	if !many && l.restrained(now) {
		limit = idleRestrained
	}
	return len(l.share.members) == 0 && now.Sub(l.used) > limit
}
