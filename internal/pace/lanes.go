// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// underway bounds the requests of one client at one endpoint: 32 of a namespace, and those of others.
	underway = 64
	// unasked is how long a provider is left alone that says 429 without Retry-After.
	unasked = time.Second
	// longest bounds what a provider may ask for, also where the clock was set back since.
	longest = time.Hour
	// Tenants choose clients, and share some, and endpoints are shared: what one namespace was told for a
	// client holds all others up for a minute at most, and not more than a tenth of the time.
	longestForOthers, sparedFor = time.Minute, 9
	// A lane is forgotten when it was idle for so long, one that keeps others waiting later.
	idle, idleRestrained = time.Minute, time.Hour
	// manyLanes is how many there may be before those that nobody waits in are all forgotten alike: tenants
	// can have as many as they like. What a provider asked for is in the records as well.
	manyLanes = 8192
)

// Route is a client at a token endpoint.
type Route struct{ Endpoint, Client string }

// RouteOf is the route of a client, named by whatever tells it from others, to the token endpoint at an
// address. Its query and fragment do not count.
func RouteOf(address, client string) Route {
	if u, err := url.Parse(address); err == nil {
		address = strings.ToLower(u.Scheme+"://"+u.Host) + u.EscapedPath()
	}
	return Route{Endpoint: address, Client: client}
}

// Verdict is what an answer says of the endpoint.
type Verdict int

const (
	// Unused means that nothing was sent.
	Unused Verdict = iota
	// Succeeded means that a token came.
	Succeeded
	// Answered means that a refusal came: the endpoint works.
	Answered
	// Failed means that no answer came, or none of a token endpoint.
	Failed
	// Throttled means that the provider asked to wait.
	Throttled
)

// Outcome is what came of a request. RetryAfter is zero where the provider did not tell.
type Outcome struct {
	Verdict    Verdict
	RetryAfter time.Duration
}

// Reason is why a connection has to wait.
type Reason int

const (
	// Crowded means that as many requests as may be are under way.
	Crowded Reason = iota
	// Told means that the provider asked to wait until then.
	Told
	// Down means that the endpoint does not answer.
	Down
	// Paced means that the provider is asked no faster than it takes.
	Paced
)

// Wait is why a connection has to wait and until when, about; zero where that is not known.
type Wait struct {
	Reason Reason
	Until  time.Time
}

// Lanes keeps token requests to what their providers take. It is safe for concurrent use.
type Lanes struct {
	clock clock.PassiveClock
	wake  func(Key)

	mu        sync.Mutex
	waiters   map[Key]*waiter
	lanes     map[Route]*lane
	endpoints map[string]*endpoint
	swept     time.Time
}

// NewLanes makes lanes that are all open. wake has a key looked at soon; it must not call back.
func NewLanes(now clock.PassiveClock, wake func(Key)) *Lanes {
	return &Lanes{clock: now, wake: wake, waiters: map[Key]*waiter{}, lanes: map[Route]*lane{}, endpoints: map[string]*endpoint{}}
}

// Permit allows one token request.
type Permit struct {
	lanes     *Lanes
	lane      *lane
	namespace string
	probe     *probe
	sent      time.Time
	ended     bool
}

// Ask allows a request now, or parks the key: it is woken when it may ask again, and those that are
// urgent soonest go first. The permit has to be ended.
func (s *Lanes) Ask(key Key, route Route, urgent time.Time) (*Permit, Wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	l := s.lane(route, now)
	w := s.waiters[key]
	if w != nil && (w.lane != l || w.index == called && !l.stillOpen(w, now)) {
		s.drop(w, now) // it goes elsewhere now, or the lane was closed since it was called
		w = nil
	}
	if w == nil {
		w = &waiter{key: key, lane: l}
		s.waiters[key] = w
	}
	if w.index != called {
		l.share.park(w, urgent)
		s.call(l, now, key)
	}
	if w.index != called {
		w.asked = true
		return nil, l.wait(key.Namespace, now)
	}
	delete(s.waiters, key)
	return &Permit{lanes: s, lane: l, namespace: key.Namespace, probe: w.probe, sent: now}, Wait{}
}

// Withdrawn says whether the provider asked to wait since the permit was given, and until when.
func (p *Permit) Withdrawn() (Wait, bool) {
	p.lanes.mu.Lock()
	defer p.lanes.mu.Unlock()
	now := p.lanes.clock.Now()
	until := p.lane.closedUntil(p.namespace, now)
	return Wait{Reason: Told, Until: until}, now.Before(until)
}

// End gives the permit back and learns from what came of it. Only the first call counts.
func (p *Permit) End(o Outcome) {
	s, l := p.lanes, p.lane
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	now := s.clock.Now()
	l.used = now
	l.share.give(p.namespace)
	concerned := l.concerned()
	l.learn(p, o, now)
	for _, other := range concerned {
		s.call(other, now, Key{})
	}
}

// Hold closes a lane to a namespace until then, at most an hour: what a provider asked for before this process began.
func (s *Lanes) Hold(namespace string, route Route, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock.Now(); now.Before(until) {
		s.lane(route, now).hold(namespace, until, now)
	}
}

// Leave ends a pass over a key that did not ask, or that was parked: if it did not ask it needs the lane
// no longer, and the place kept for it is somebody else's.
func (s *Lanes) Leave(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waiters[key]
	switch {
	case w == nil:
	case w.asked:
		w.asked = false
	default:
		s.drop(w, s.clock.Now())
	}
}

// Forget is for a key that vanished.
func (s *Lanes) Forget(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.waiters[key]; w != nil {
		s.drop(w, s.clock.Now())
	}
}

// Review calls all who may go. It is for a clock that jumped: timers were set by what it told before.
func (s *Lanes) Review() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, l := range s.lanes {
		s.call(l, now, Key{})
	}
}

// Waiting is how many keys are parked.
func (s *Lanes) Waiting() (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		count += l.share.waiting
	}
	return count
}

// Restrained is how many lanes are closed or slowed down.
func (s *Lanes) Restrained() (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, l := range s.lanes {
		if l.restrained(now) {
			count++
		}
	}
	return count
}

// lane finds the lane of a route, or opens one.
func (s *Lanes) lane(route Route, now time.Time) *lane {
	l := s.lanes[route]
	if l == nil {
		s.sweep(now)
		e := s.endpoints[route.Endpoint]
		if e == nil {
			e = &endpoint{lanes: map[*lane]struct{}{}}
			s.endpoints[route.Endpoint] = e
		}
		l = &lane{route: route, endpoint: e, share: share{places: underway}}
		s.lanes[route], e.lanes[l] = l, struct{}{}
	}
	l.used = now
	return l
}

// sweep forgets lanes that nobody uses.
func (s *Lanes) sweep(now time.Time) {
	if now.Sub(s.swept) < idle {
		return
	}
	s.swept = now
	many := len(s.lanes) > manyLanes
	for route, l := range s.lanes {
		if !l.idle(now, many) {
			continue
		}
		delete(s.lanes, route)
		delete(l.endpoint.lanes, l)
		if len(l.endpoint.lanes) == 0 {
			delete(s.endpoints, route.Endpoint)
		}
	}
}

// drop forgets a waiter.
func (s *Lanes) drop(w *waiter, now time.Time) {
	delete(s.waiters, w.key)
	if !w.lane.share.drop(w) {
		return
	}
	w.probe.unused(now)
	for _, l := range w.lane.concerned() {
		s.call(l, now, Key{})
	}
}

// call keeps a place for everybody who may go, wakes all but the one who is asking, and sees to it that
// the rest is looked at when time alone lets somebody go.
func (s *Lanes) call(l *lane, now time.Time, asking Key) {
	for l.share.waiting > 0 {
		var w *waiter
		if !now.Before(l.opensAt(now)) {
			w = l.share.call(func(namespace string) bool { return l.passes(namespace, now) })
		}
		if w == nil {
			s.lookAgain(l, l.nextAt(now), now)
			return
		}
		l.tempo.spend(now)
		w.probe = l.endpoint.begin(w.key.Namespace, now)
		if w.key != asking {
			s.wake(w.key)
		}
	}
}

// lookAgain calls at a moment; where that is zero, something that is under way ends.
func (s *Lanes) lookAgain(l *lane, at, now time.Time) {
	if at.IsZero() || l.fires.After(now) && !at.Before(l.fires) {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	wait := max(at.Sub(now), time.Millisecond)
	l.fires = now.Add(wait)
	l.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.fires = time.Time{}
		s.call(l, s.clock.Now(), Key{})
	})
}
