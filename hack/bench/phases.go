// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
)

const (
	// loadShare of the capacity is what the steady phase asks for.
	loadShare = 0.3
	// steadyTime is how long it lasts at most; each connection is refreshed once at most.
	steadyTime = time.Minute
	// grace for refreshes that are late, before the run is given up.
	grace = time.Minute
)

// empty measures the operator's memory before there is anything to keep. It also makes the keyset.
func (b *bench) empty(ctx context.Context, r *results) error {
	return b.withOperator(ctx, func(ctx context.Context, p *process) (err error) {
		if err := p.Ready(ctx); err != nil {
			return err
		}
		if err := pause(ctx, 2*time.Second); err != nil { // until it leads and has filled its caches
			return err
		}
		r.empty, err = memoryOf(p.Pid())
		return err
	})
}

// publishAll lets the operator find the records and publish the targets.
func (b *bench) publishAll(ctx context.Context, r *results) error {
	return b.withOperator(ctx, func(ctx context.Context, p *process) error {
		err := b.allReady(ctx, p)
		r.firstPublication = time.Since(p.started)
		return err
	})
}

// restart measures how soon an operator that starts with fresh tokens knows of all, then what it
// does and holds when there is nothing to do.
func (b *bench) restart(ctx context.Context, r *results) error {
	b.endpoint.forget()
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	return b.withOperator(ctx, func(ctx context.Context, p *process) error {
		known, err := p.settled(ctx, b.n)
		if err != nil {
			return err
		}
		r.restart = known.Sub(p.started)
		settled, err := b.requests(ctx)
		if err != nil {
			return err
		}
		r.writesAtRestart = writesIn(since(before, settled))

		r.quiet = 30 * time.Second
		if b.n > 2000 {
			r.quiet = time.Minute
		}
		if err := pause(ctx, r.quiet); err != nil {
			return err
		}
		rested, err := b.requests(ctx)
		if err != nil {
			return err
		}
		r.writesAtRest = writesIn(since(settled, rested))
		r.tokenRequestsAtRestart = b.endpoint.arrived()
		if r.resting, err = memoryOf(p.Pid()); err != nil {
			return err
		}
		return b.allReady(ctx, p)
	})
}

// storm makes every connection due before the operator starts. It is measured from the first token
// request to the last, so that neither the start nor the end dilutes it.
func (b *bench) storm(ctx context.Context, r *results) error {
	b.endpoint.forget()
	if _, err := b.setDue(ctx, b.n, func(int) time.Time { return time.Now() }); err != nil {
		return err
	}
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	return b.withOperator(ctx, func(ctx context.Context, p *process) error {
		if err := b.endpoint.awaitArrivals(ctx, 1); err != nil {
			return err
		}
		cpu, err := cpuTime(p.Pid())
		if err != nil {
			return err
		}
		if err := b.endpoint.awaitArrivals(ctx, b.n); err != nil {
			return err
		}
		if err := b.allReady(ctx, p); err != nil {
			return err
		}
		used, err := cpuTime(p.Pid())
		if err != nil {
			return err
		}
		after, err := b.requests(ctx)
		if err != nil {
			return err
		}
		r.refreshes, r.requests = float64(b.n-1)/b.endpoint.span().Seconds(), since(before, after)
		r.cpu = (used - cpu) / time.Duration(b.n)
		r.stormy, err = memoryOf(p.Pid())
		return err
	})
}

// steady makes connections due one after the other, at a rate that leaves the operator room, and
// measures how late their refresh tokens arrive.
func (b *bench) steady(ctx context.Context, r *results) error {
	b.endpoint.forget()
	r.load = loadShare * r.refreshes
	count := min(b.n, int(r.load*steadyTime.Seconds()))
	// Time to age the records and to start, both twice of what they took, and some to spare.
	aging := time.Duration(float64(count) / float64(b.n) * float64(b.aging))
	begin := time.Now().Add(2*aging + 2*r.restart + 15*time.Second)
	expected, err := b.setDue(ctx, count, func(i int) time.Time {
		return begin.Add(time.Duration(float64(i) / r.load * float64(time.Second)))
	})
	if err != nil {
		return err
	}
	return b.withOperator(ctx, func(ctx context.Context, p *process) error {
		known, err := p.settled(ctx, b.n)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithDeadline(ctx, expected[count-1].at.Add(grace))
		defer cancel()
		if err := b.endpoint.awaitArrivals(ctx, count); err != nil {
			return err
		}
		// What fell due while the operator was starting says nothing about its timing.
		expected = slices.DeleteFunc(expected, func(d due) bool { return d.at.Before(known) })
		if len(expected) < count/2 {
			return errors.New("most refreshes were due before the operator had started")
		}
		r.lateness = lateness(expected, b.endpoint.seen())
		return nil
	})
}

// setDue ages the records of the first connections and notes how long that takes for each.
func (b *bench) setDue(ctx context.Context, count int, at func(i int) time.Time) ([]due, error) {
	started := time.Now()
	list := make([]due, count)
	err := records.Each(ctx, b.concurrency, count, func(ctx context.Context, i int) (err error) {
		list[i].at = at(i)
		list[i].token, err = b.records.SetDue(ctx, b.connections[i], list[i].at)
		return err
	})
	b.aging = time.Since(started)
	return list, err
}

// lateness is how long after its due time each refresh token arrived, in ascending order.
func lateness(expected []due, seen map[string]time.Time) []time.Duration {
	late := make([]time.Duration, 0, len(expected))
	for _, d := range expected {
		if arrived, ok := seen[d.token]; ok {
			late = append(late, arrived.Sub(d.at))
		}
	}
	slices.Sort(late)
	return late
}

// percentile picks the smallest value that this share of all does not exceed.
func percentile(ascending []time.Duration, share float64) time.Duration {
	if len(ascending) == 0 {
		return 0
	}
	return ascending[max(0, int(math.Ceil(share*float64(len(ascending))))-1)]
}
