// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
)

const (
	// herdOutage is how long the provider is away while everything falls due.
	herdOutage = 10 * time.Second
	// inOrder is the least rank correlation between expiry and refresh, 1 being perfect order.
	inOrder = 0.5
)

// herd brings a provider back that takes some requests a second, when everything has fallen due meanwhile.
func herd(ctx context.Context, s *suite, r *result) (err error) {
	n, rate := s.times(300, 10_000), 30.0
	if s.long {
		rate = 100
	}
	r.limit = "all refreshed, soonest expiry mostly first, Retry-After kept"
	r.tried = fmt.Sprintf("%d due at once, %.0f/s allowed", n, rate)
	began := time.Now()
	life := func(i int) time.Duration { // in an order that has nothing to do with names and creation
		return time.Hour + time.Duration((i*7919)%n)*9*time.Hour/time.Duration(n)
	}
	c, err := s.newCell(ctx, r.name, cellOptions{
		teams: 10, connections: n, rules: rules{lifetime: 12 * time.Hour, rotates: true, retryAfter: 3 * time.Second},
		token: func(i int) (time.Time, time.Duration) { return began, life(i) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, release, err := c.runPod(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := p.stop(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	// The longer a token lives the sooner before its expiry it is due: all of them now, in that order.
	c.tokens.set(func(r *rules) { r.down = true })
	due := time.Now()
	err = records.Each(ctx, planters, n, func(ctx context.Context, i int) error {
		_, err := c.records.SetDue(ctx, c.conns[i].object, due)
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(p.startReady(ctx), c.firstRefresh(ctx, 0), p.lookedAt(ctx, n), pause(ctx, herdOutage)); err != nil {
		return err
	}
	tried := c.tokens.seen()
	c.tokens.set(func(r *rules) { r.down, r.rate = false, rate })
	back := time.Now()
	if err := c.drained(ctx, r, n, rate, tried); err != nil {
		return fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	r.note("while the provider was down: %d requests in %s", tried, herdOutage)
	c.judgeHerd(r, life, c.tokens.log(0), tried, back)
	p.tellRestarts(r)
	return p.stop(ctx)
}

// drained waits until everything is refreshed once.
func (c *cell) drained(ctx context.Context, r *result, n int, rate float64, from int) error {
	limit := 2*time.Minute + 3*time.Duration(float64(n)/rate*float64(time.Second))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	told := time.Now()
	done := 0
	return poll(ctx, 200*time.Millisecond, func() (bool, error) {
		done = c.tokens.counts(from)[answered]
		if time.Since(told) > time.Minute {
			told = time.Now()
			r.progress("%d of %d", done, n)
		}
		return done >= n, nil
	}, func() string { return fmt.Sprintf("%d of %d are refreshed, %v", done, n, c.tokens.counts(from)) })
}

// judgeHerd looks at the order and at the share of requests that came too early. Connections that were tried
// during the outage, the first so many requests, wait for their own next try and have no place in the order.
func (c *cell) judgeHerd(r *result, life func(int) time.Duration, requests []arrival, outage int, back time.Time) {
	number := map[int]int{} // of a connection, by family
	for i, conn := range c.conns {
		number[int(conn.family.Load())] = i
	}
	var order []time.Duration // lives in the order of their refreshes: they expire in the order of these
	early := map[int]bool{}
	for _, a := range requests[:outage] {
		early[a.family] = true
	}
	requests = requests[outage:]
	refused, done, last := 0, 0, back
	for _, a := range requests {
		switch a.outcome {
		case throttled:
			refused++
		case answered:
			if !early[a.family] {
				order = append(order, life(number[a.family]))
			}
			done++
			last = a.at
		}
	}
	correlation := rankCorrelation(order)
	r.note("drained in %.1f s (%.1f/s); %d of %d requests got 429 (%.1f %%); rank correlation of expiry and refresh %.2f",
		last.Sub(back).Seconds(), float64(done)/last.Sub(back).Seconds(), refused, len(requests),
		100*float64(refused)/float64(len(requests)), correlation)
	if correlation < inOrder {
		r.breach("the order has little to do with the expiry: rank correlation %.2f", correlation)
	}
	c.tokens.judgePatience(r)
}

// rankCorrelation is Spearman's, between the place of each value in the list and in sorted order.
func rankCorrelation(list []time.Duration) float64 {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	rank := map[time.Duration]int{}
	for i, t := range sorted {
		rank[t] = i
	}
	var sum float64
	for i, t := range list {
		d := float64(i - rank[t])
		sum += d * d
	}
	n := float64(len(list))
	return 1 - 6*sum/(n*(n*n-1))
}
