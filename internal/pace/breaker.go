// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import "time"

const (
	// enough failures in a row, of any connections, mean that an endpoint is down.
	enough = 5
	// An endpoint that is down is asked after firstProbe, and by each namespace whose request fails
	// again after twice the time, at most lastProbe.
	firstProbe, lastProbe = 5 * time.Second, 30 * time.Second
)

// breaker spares an endpoint that is down. Each namespace finds out for itself, by one request at a time,
// whether it is back: nobody's failing connection keeps others from finding out. One answer is enough, and
// whoever got it goes by what it gets itself from then on: tenants can have any endpoint fail for themselves.
type breaker struct {
	failures int
	// well are the namespaces whose last request was answered.
	well map[string]bool
	// probes are of the namespaces that asked since the endpoint is down; nil while it is not.
	probes map[string]*probe
	opens  time.Time
}

// probe is what one namespace knows of an endpoint that is down.
type probe struct {
	busy bool
	wait time.Duration
	next time.Time
}

func (b *breaker) down() bool { return b.probes != nil }

// downFor says whether a namespace has to believe that.
func (b *breaker) downFor(namespace string) bool { return b.down() && !b.well[namespace] }

// opensAt is when a namespace may ask, unless its request is under way; zero where it need not wait.
func (b *breaker) opensAt(namespace string, now time.Time) (at time.Time, busy bool) {
	if !b.downFor(namespace) {
		return time.Time{}, false
	}
	next := &b.opens
	if p := b.probes[namespace]; p != nil {
		next, busy = &p.next, p.busy
	}
	if last := now.Add(lastProbe); next.After(last) { // the clock was set back
		*next = last
	}
	return *next, busy
}

// begin notes a request; it returns what end it has to be told to, nil while the endpoint is not down.
func (b *breaker) begin(namespace string, now time.Time) *probe {
	if !b.downFor(namespace) {
		return nil
	}
	p := b.probes[namespace]
	if p == nil {
		p = &probe{wait: firstProbe}
		b.probes[namespace] = p
	}
	p.busy, p.next = true, now.Add(p.wait)
	return p
}

// failed notes that a request of a namespace failed. Those sent before the endpoint was down tell others
// nothing new.
func (b *breaker) failed(namespace string, p *probe, now time.Time) {
	delete(b.well, namespace)
	b.failures++
	switch {
	case !b.down() && b.failures >= enough:
		b.probes, b.opens = map[string]*probe{}, now.Add(firstProbe)
	case p != nil:
		p.wait = min(2*p.wait, lastProbe)
		p.busy, p.next = false, now.Add(p.wait)
	}
}

// answered notes that the endpoint works.
func (b *breaker) answered(namespace string) {
	*b = breaker{well: b.well}
	if b.well == nil {
		b.well = map[string]bool{}
	}
	b.well[namespace] = true
}

// unused notes that the request was not sent after all.
func (p *probe) unused(now time.Time) {
	if p != nil {
		p.busy, p.next = false, now
	}
}
