// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
	"github.com/oauth-operator/oauth-operator/internal/testenv/prom"
)

const (
	// patience and patienceEach, for each connection, are the longest that the operator is waited for.
	patience     = 2 * time.Minute
	patienceEach = 30 * time.Millisecond
	// logTail of the operator, in bytes, is shown when a phase fails.
	logTail = 4 << 10
	// The operator is looked at this often. It is asked only while it uses no more than idleTime of
	// CPU in between: its metrics list every connection, and would be the work that is measured.
	lookEvery = 100 * time.Millisecond
	idleTime  = tick
)

// process is the operator during a phase.
type process struct {
	*operator.Process
	started time.Time
}

// withOperator runs the operator for one phase.
func (b *bench) withOperator(ctx context.Context, use func(context.Context, *process) error) error {
	p := &process{started: time.Now()}
	var err error
	p.Process, err = operator.Start(operator.Options{
		Config: b.identity, PublicURL: publicURL,
		Args: []string{fmt.Sprintf("--concurrency=%d", b.concurrency), "--log-level=error"},
	})
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, patience+time.Duration(b.n)*patienceEach)
	defer cancel()
	if err = use(bounded, p); err != nil {
		log := p.Log()
		err = fmt.Errorf("%w; the operator's log ends with:\n%s", err, log[max(0, len(log)-logTail):])
	}
	stopping, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	return errors.Join(err, p.Stop(stopping))
}

// settled waits until the operator has looked at this many connections since it started and has
// nothing left to do, and returns when that was seen.
func (p *process) settled(ctx context.Context, connections int) (time.Time, error) {
	if err := p.Ready(ctx); err != nil {
		return time.Time{}, err
	}
	for {
		if err := p.idle(ctx); err != nil {
			return time.Time{}, fmt.Errorf("the operator does not come to rest: %w", err)
		}
		seen := time.Now()
		page, err := prom.Fetch(ctx, p.MetricsURL)
		if err != nil {
			return time.Time{}, err
		}
		const controller = "oauthconnection"
		done := prom.Total(page, "controller_runtime_reconcile_total", "controller", controller) >= float64(connections)
		busy := prom.Total(page, "workqueue_depth", "name", controller) +
			prom.Total(page, "controller_runtime_active_workers", "controller", controller)
		if done && busy == 0 {
			return seen, nil
		}
	}
}

// idle waits until the operator uses hardly any CPU.
func (p *process) idle(ctx context.Context) error {
	before, err := cpuTime(p.Pid())
	for err == nil {
		if err = pause(ctx, lookEvery); err != nil {
			break
		}
		var now time.Duration
		if now, err = cpuTime(p.Pid()); err == nil && now-before <= idleTime {
			return nil
		}
		before = now
	}
	return err
}

// allReady waits until the operator has settled with every connection Ready.
func (b *bench) allReady(ctx context.Context, p *process) error {
	for {
		if _, err := p.settled(ctx, b.n); err != nil {
			return err
		}
		count, other, err := b.ready(ctx)
		if err != nil || count == b.n {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return fmt.Errorf("only %d connections are Ready; %s", count, strings.TrimSpace(other))
		}
	}
}

func isReady(conn *v1alpha1.OAuthConnection) (ok bool, why string) {
	ready := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil {
		return false, "it has no Ready condition"
	}
	return ready.Status == "True", ready.Reason + ": " + ready.Message
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
