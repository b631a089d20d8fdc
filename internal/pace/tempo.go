// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is the least number of requests per second.
	slowest = 1
	// window is how far back "lately" goes.
	window = 10 * time.Second
	// calm is how long no 429 came before any speed is tried again.
	calm = 10 * time.Minute
)

// tempo finds the speed that a provider takes: any, until it says 429, then half of what it took lately,
// and from there a little more with each token. (Additive increase, multiplicative decrease.)
type tempo struct {
	// limiter is nil while any speed is right.
	limiter *rate.Limiter
	cut     time.Time
	// successes since the window began, and per second in the one before.
	since  time.Time
	count  float64
	before float64
}

// delay is how long the next request has to wait; spend notes that it goes.
func (t *tempo) delay(now time.Time) time.Duration {
	if t.limiter == nil {
		return 0
	}
	missing := max(1-t.limiter.TokensAt(now), 0)
	return time.Duration(missing / t.perSecond() * float64(time.Second))
}

func (t *tempo) spend(now time.Time) {
	if t.limiter != nil {
		t.limiter.AllowN(now, 1)
	}
}

// perSecond is the limit, 0 where there is none.
func (t *tempo) perSecond() float64 {
	if t.limiter == nil {
		return 0
	}
	return float64(t.limiter.Limit())
}

// succeeded speeds up by one request per second, and a twentieth, in each second.
func (t *tempo) succeeded(now time.Time) {
	t.turnOver(now)
	t.count++
	switch limit := t.perSecond(); {
	case limit == 0:
	case now.Sub(t.cut) > calm:
		t.limiter = nil
	default:
		t.limit(now, limit+(1+limit/20)/limit)
	}
}

// throttled slows down. What was sent before it did so last knows nothing of that yet.
func (t *tempo) throttled(sent, now time.Time) {
	if t.limiter != nil && sent.Before(t.cut) {
		return
	}
	t.turnOver(now)
	took := max(t.before, t.count/max(now.Sub(t.since), time.Second).Seconds())
	if limit := t.perSecond(); limit > 0 {
		took = min(took, limit)
	}
	t.cut = now
	t.limit(now, max(took/2, slowest))
}

// limit allows a tenth of a second's requests at once, so that one timer serves them.
func (t *tempo) limit(now time.Time, perSecond float64) {
	burst := 1 + int(perSecond/10)
	if t.limiter == nil {
		t.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
		t.limiter.AllowN(now, burst)
		return
	}
	t.limiter.SetLimitAt(now, rate.Limit(perSecond))
	t.limiter.SetBurstAt(now, burst)
}

func (t *tempo) turnOver(now time.Time) {
	switch age := now.Sub(t.since); {
	case age >= 2*window || age < 0:
		t.since, t.count, t.before = now, 0, 0
	case age >= window:
		t.since, t.count, t.before = now, 0, t.count/age.Seconds()
	}
}
