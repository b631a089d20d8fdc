// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/prom"
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
	ends := func(i int) time.Time { // in an order that has nothing to do with names and creation
		return began.Add(10*time.Minute + time.Duration((i*7919)%n)*20*time.Minute/time.Duration(n))
	}
	c, err := s.newCell(ctx, r.name, cellOptions{
		teams: 10, connections: n, rules: rules{lifetime: 12 * time.Hour, rotates: true, down: true, retryAfter: time.Second},
		token: func(i int) (time.Time, time.Duration) { // of five hours, so that their margin is an hour
			return ends(i).Add(-5 * time.Hour), 5 * time.Hour
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, err := c.newPod("--log-level=error")
	if err != nil {
		return err
	}
	if err := errors.Join(p.startReady(ctx), c.firstRefresh(ctx, 0), p.lookedAt(ctx, n), pause(ctx, herdOutage)); err != nil {
		return err
	}
	tried := c.tokens.seen()
	page, err := prom.Fetch(ctx, p.MetricsURL)
	if err != nil {
		return err
	}
	waiting := prom.Total(page, "oauth_operator_waiting_connections", "", "")
	r.note("while the provider was down: %d requests in %s, %.0f connections waited", tried, herdOutage, waiting)
	c.tokens.set(func(r *rules) { r.down, r.rate = false, rate })
	back := time.Now()
	if err := c.drained(ctx, r, n, rate, tried); err != nil {
		return fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	c.judgeHerd(r, ends, tried, back)
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

// judgeHerd looks at the order and at the share of requests that came too early.
func (c *cell) judgeHerd(r *result, ends func(int) time.Time, from int, back time.Time) {
	number := map[int]int{} // of a connection, by family
	for i, conn := range c.conns {
		number[int(conn.family.Load())] = i
	}
	var order []time.Time // expiries in the order of their refreshes
	refused, last := 0, back
	requests := c.tokens.log(from)
	for _, a := range requests {
		switch a.outcome {
		case throttled:
			refused++
		case answered:
			order = append(order, ends(number[a.family]))
			last = a.at
		}
	}
	correlation := rankCorrelation(order)
	_, _, impatient := c.tokens.faults()
	r.note("drained in %.1f s (%.1f/s); %d of %d requests got 429 (%.1f %%); rank correlation of expiry and refresh %.2f",
		last.Sub(back).Seconds(), float64(len(order))/last.Sub(back).Seconds(), refused, len(requests),
		100*float64(refused)/float64(len(requests)), correlation)
	if correlation < inOrder {
		r.breach("the order has little to do with the expiry: rank correlation %.2f", correlation)
	}
	if impatient > 0 {
		r.breach("%d requests came inside a Retry-After", impatient)
	}
}

// rankCorrelation is Spearman's, between the place of each time in the list and in sorted order.
func rankCorrelation(list []time.Time) float64 {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, time.Time.Compare)
	rank := map[time.Time]int{}
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
