// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// inTheAir is how long a request may still arrive that was under way, from its intent on, when another one
// was answered with a Retry-After: all of this is one machine, and it is busy.
const inTheAir = 2 * time.Second

// outcome is what became of a request.
type outcome string

const (
	answered  outcome = "answered"
	refused   outcome = "refused"
	failed    outcome = "failed"
	throttled outcome = "throttled"
	hung      outcome = "hung"
	cut       outcome = "cut"
)

// arrival is one request.
type arrival struct {
	at         time.Time
	processed  time.Time // zero: it was not
	family     int
	generation int
	client     string
	outcome    outcome
	done       bool
	failures   int // of the family in a row, before this one
}

// grant is what a request is answered with.
type grant struct {
	access, refresh string
	refused         bool
}

// family are the tokens that come from one consent.
type family struct {
	good     int // generation of the refresh token that is good now
	issued   time.Time
	expiry   time.Time // of the last access token
	ended    bool
	failures int
	lastSent map[int]time.Time // by generation
}

// oracle knows the truth about all tokens and requests.
type oracle struct {
	mu       sync.Mutex
	families []*family
	requests []*arrival
	quiet    map[string]quiet // by client
	// reuses counts spent tokens that came back outside of a grace, repeats those sent again within the
	// lifetime of an intent, and impatient requests inside a Retry-After.
	reuses, repeats, impatient int
	// airborne came inside a Retry-After that they could not know of; latest is how long after it.
	airborne int
	latest   time.Duration
}

// quiet is a time in which a client was asked to stay away.
type quiet struct{ from, until time.Time }

// begin starts a family.
func (o *oracle) begin(expiry time.Time) grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := len(o.families)
	o.families = append(o.families, &family{issued: time.Now(), expiry: expiry, lastSent: map[int]time.Time{}})
	return grant{access: accessToken(f, 0, expiry), refresh: refreshToken(f, 0)}
}

// arrive notes a request.
func (o *oracle) arrive(token, client string) *arrival {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := &arrival{at: time.Now(), family: -1, client: client}
	if f, g, ok := parseRefresh(token); ok && f >= 0 && f < len(o.families) && g >= 0 && g <= o.families[f].good {
		a.family, a.generation = f, g
		known := o.families[f]
		if last, sent := known.lastSent[g]; sent && a.at.Sub(last) < tokenstore.IntentLifetime {
			o.repeats++
		}
		known.lastSent[g] = a.at
		delete(known.lastSent, g-3)
		a.failures = known.failures
	}
	if q, told := o.quiet[client]; told && a.at.Before(q.until) {
		since := a.at.Sub(q.from)
		o.latest = max(o.latest, since)
		if since > inTheAir {
			o.impatient++
		} else {
			o.airborne++
		}
	}
	o.requests = append(o.requests, a)
	return a
}

// spend uses a refresh token.
func (o *oracle) spend(a *arrival, r rules) grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.family < 0 || o.families[a.family].ended {
		return grant{refused: true}
	}
	f, now := o.families[a.family], time.Now()
	a.processed = now
	switch {
	case !r.rotates:
	case a.generation == f.good:
		f.good, f.issued = f.good+1, now
	case a.generation == f.good-1 && now.Sub(f.issued) < r.grace:
	default:
		o.reuses++
		f.ended = true
		return grant{refused: true}
	}
	f.expiry = now.Add(r.lifetime)
	return grant{access: accessToken(a.family, f.good, f.expiry), refresh: refreshToken(a.family, f.good)}
}

// conclude notes what a request is answered with, at the moment it is.
func (o *oracle) conclude(a *arrival, is outcome, retryAfter time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a.outcome = is
	if is == throttled {
		now := time.Now()
		if o.quiet == nil {
			o.quiet = map[string]quiet{}
		}
		if q := o.quiet[a.client]; now.After(q.until) {
			o.quiet[a.client] = quiet{from: now, until: now.Add(retryAfter)}
		}
	}
	if a.family < 0 {
		return
	}
	if f := o.families[a.family]; is == answered {
		f.failures = 0
	} else {
		f.failures++
	}
}

func (o *oracle) leave(a *arrival) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a.done = true
}

// truth is what is so about a family now.
type truth struct {
	good   int
	issued time.Time
	expiry time.Time
	ended  bool
}

func (o *oracle) truth(f int) truth {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.families[f]
	return truth{good: t.good, issued: t.issued, expiry: t.expiry, ended: t.ended}
}

// seen is how many requests came so far.
func (o *oracle) seen() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.requests)
}

// log is a copy of the requests from the given number on.
func (o *oracle) log(from int) []arrival {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]arrival, 0, len(o.requests)-from)
	for _, a := range o.requests[from:] {
		list = append(list, *a)
	}
	return list
}

// counts of requests by outcome, from the given number on.
func (o *oracle) counts(from int) map[outcome]int {
	counts := map[outcome]int{}
	for _, a := range o.log(from) {
		counts[a.outcome]++
	}
	return counts
}

// sentTwice is how often a refresh token was, outside of a grace or within the lifetime of an intent.
func (o *oracle) sentTwice() (reuses, repeats int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reuses, o.repeats
}

// judgePatience holds a scenario to the Retry-Afters that its provider sent.
func (o *oracle) judgePatience(r *result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.note("inside a Retry-After came %d requests that were under way when it was sent, the last one after %s", o.airborne, round(o.latest))
	if o.impatient > 0 {
		r.breach("%d requests came inside a Retry-After, up to %s after it was sent", o.impatient, round(o.latest))
	}
}

// await waits until so many requests came.
func (o *oracle) await(ctx context.Context, count int) error {
	return poll(ctx, 2*time.Millisecond, func() (bool, error) { return o.seen() >= count, nil },
		func() string { return fmt.Sprintf("%d of %d token requests came", o.seen(), count) })
}

// silent waits until every request that had come by now is over: one that was read is processed, although
// the process that sent it is dead.
func (o *oracle) silent(ctx context.Context) error {
	last := o.seen()
	return poll(ctx, 2*time.Millisecond, func() (bool, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, a := range o.requests[max(0, last-1000):last] {
			if !a.done {
				return false, nil
			}
		}
		return true, nil
	}, func() string { return "requests are still under way" })
}
