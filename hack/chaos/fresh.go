// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/prom"
)

// restFor is how long a restarted operator is watched after it has looked at everything.
const restFor = 5 * time.Second

// restartFresh starts the operator with nothing to do: it asks nobody and writes nothing.
func restartFresh(ctx context.Context, s *suite, r *result) (err error) {
	n := s.times(500, 10_000)
	r.limit, r.tried = "0 requests at the provider, 0 writes", fmt.Sprintf("%d connections", n)
	c, err := s.newCell(ctx, r.name, cellOptions{
		teams: 20, connections: n, rules: rules{lifetime: 12 * time.Hour, rotates: true},
		token: func(int) (time.Time, time.Duration) { return time.Now(), 12 * time.Hour },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	// Without leader election: its lease would be the only thing that is written.
	p, err := c.newPod("--leader-elect=false")
	if err != nil {
		return err
	}
	if err := errors.Join(p.startReady(ctx), c.awaitReady(ctx), p.stop(ctx)); err != nil {
		return fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	came := c.tokens.seen()
	began := time.Now()
	if err := p.startReady(ctx); err != nil {
		return err
	}
	if err := p.lookedAt(ctx, n); err != nil {
		return err
	}
	r.note("everything was looked at %.1f s after the start", time.Since(began).Seconds())
	if err := pause(ctx, restFor); err != nil {
		return err
	}
	reads, writes, err := p.requests(ctx)
	if err != nil {
		return err
	}
	if reads < float64(n) {
		return fmt.Errorf("the operator counts %.0f reads of %d records: its metrics are not what they were", reads, n)
	}
	requests := c.tokens.seen() - came
	r.note("%d requests at the provider, %.0f writes at the API server", requests, writes)
	if requests > 0 || writes > 0 {
		r.breach("%d requests at the provider, %.0f writes at the API server", requests, writes)
	}
	return p.stop(ctx)
}

// awaitReady waits until every connection is Ready.
func (c *cell) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute+time.Duration(len(c.conns))*60*time.Millisecond)
	defer cancel()
	ready, example := 0, ""
	return poll(ctx, 500*time.Millisecond, func() (bool, error) {
		now, err := c.list(ctx)
		ready = 0
		for _, conn := range now {
			if meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ReadyCondition) {
				ready++
			} else {
				example = conn.Name
			}
		}
		return ready == len(c.conns), err
	}, func() string {
		return fmt.Sprintf("%d of %d connections are Ready, %s is not", ready, len(c.conns), example)
	})
}

// lookedAt waits until the operator has looked at so many connections and has nothing left to do.
func (p *pod) lookedAt(ctx context.Context, connections int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute+time.Duration(connections)*60*time.Millisecond)
	defer cancel()
	const controller = "oauthconnection"
	looked, busy := 0.0, 0.0
	return poll(ctx, 200*time.Millisecond, func() (bool, error) {
		page, err := prom.Fetch(ctx, p.current().MetricsURL)
		looked = prom.Total(page, "controller_runtime_reconcile_total", "controller", controller)
		busy = prom.Total(page, "workqueue_depth", "name", controller) +
			prom.Total(page, "controller_runtime_active_workers", "controller", controller)
		return err == nil && looked >= float64(connections) && busy == 0, nil // it may be starting again
	}, func() string {
		return fmt.Sprintf("the operator has looked %.0f times, %.0f are to be looked at", looked, busy)
	})
}

// requests counts those of the process to the API server.
func (p *pod) requests(ctx context.Context) (reads, writes float64, err error) {
	page, err := prom.Fetch(ctx, p.current().MetricsURL)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		writes += prom.Total(page, "rest_client_requests_total", "method", method)
	}
	return prom.Total(page, "rest_client_requests_total", "method", "GET"), writes, err
}
