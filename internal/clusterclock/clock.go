// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusterclock tells the API server's time.
//
// Tokens, intents and backoffs are stored with moments that another replica, on another node, compares
// with its own clock. Nodes disagree, are set right by leaps, and sleep. So replicas share one clock:
//
//	Date of each answer ──► anchor, within a second, narrowed by every answer
//	monotonic clock     ──► carries it on until the next answer
//
// The clock of the node counts for nothing once the API server has answered, which it does all the time:
// the leader renews its lease each second. See RFC 9110 section 6.6.1 for what Date means.
package clusterclock

import (
	"net/http"
	"sync"
	"time"
)

const (
	// resolution of a Date header: the server's clock read up to so much later.
	resolution = time.Second
	// jump is how far an answer has to be off to be more than drift: a machine slept, or a clock was set.
	jump = 2 * resolution
	// signature is in every answer of an API server, and not in what a proxy in front of it makes up when it
	// is away.
	signature = "Audit-Id"
	// wakeEvery bounds how often a jump is told of: several API servers may disagree with one another.
	wakeEvery = time.Minute
)

// Clock is a clock.PassiveClock. Make one with New, and let it see answers with Observe. It is safe for
// concurrent use.
type Clock struct {
	local func() time.Time

	mu sync.RWMutex
	// base is a local moment with a monotonic reading. The API server's clock stood between earliest and
	// latest then.
	base             time.Time
	earliest, latest time.Time
	heard            bool
	jumped           func(by time.Duration)
	told             time.Time
}

// New makes a Clock that goes by local, which is time.Now outside of tests, until the first answer.
func New(local func() time.Time) *Clock {
	now := local()
	return &Clock{local: local, base: now, earliest: now.Round(0), latest: now.Round(0)}
}

// OnJump has f called, in a goroutine of its own and at most once a minute, when the time told has leapt
// by more than two seconds since the answer before: what waits for a moment has to look again.
func (c *Clock) OnJump(f func(by time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jumped = f
}

// Now is the API server's time, as well as it is known.
func (c *Clock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.at(c.local())
}

// Since is the time that has passed since t.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Ahead is how far the node's clock is ahead of the API server's; zero until it is known.
func (c *Clock) Ahead() time.Duration {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.heard {
		return 0
	}
	local := c.local()
	return local.Round(0).Sub(c.at(local))
}

// at is the middle of what is possible, carried on to a local moment by the monotonic clock.
func (c *Clock) at(local time.Time) time.Time {
	return c.earliest.Add(c.latest.Sub(c.earliest) / 2).Add(local.Sub(c.base))
}

// Observe looks at the answers that come back through next, which leads to the API server.
func (c *Clock) Observe(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		sent := c.local()
		response, err := next.RoundTrip(request)
		if err == nil && response.Header.Get(signature) != "" {
			if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
				c.hear(sent, c.local(), date)
			}
		}
		return response, err
	})
}

// hear takes in that the API server's clock showed date, in whole seconds, between two local moments.
func (c *Clock) hear(sent, received, date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	earliest, latest := date.Add(-received.Sub(c.base)), date.Add(resolution-sent.Sub(c.base))
	before := c.at(received)
	switch gap := c.gap(earliest, latest); {
	case !c.heard, gap.Abs() > jump:
		c.earliest, c.latest = earliest, latest
	case gap != 0: // the two clocks drift
		c.earliest, c.latest = c.earliest.Add(gap), c.latest.Add(gap)
	default:
		c.earliest, c.latest = later(c.earliest, earliest), sooner(c.latest, latest)
	}
	by := c.at(received).Sub(before)
	if c.heard && by.Abs() > jump && c.jumped != nil && (c.told.IsZero() || received.Sub(c.told) >= wakeEvery) {
		c.told = received
		go c.jumped(by)
	}
	c.heard = true
}

// gap is by how much what is held has to move to agree with an answer; zero where it does.
func (c *Clock) gap(earliest, latest time.Time) time.Duration {
	if earliest.After(c.latest) {
		return earliest.Sub(c.latest)
	}
	if latest.Before(c.earliest) {
		return latest.Sub(c.earliest)
	}
	return 0
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
