// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	// leadAfterCrash and leadAfterStop are how soon a replica that stands by leads, from the death or the
	// end of the one before.
	leadAfterCrash = 20 * time.Second
	leadAfterStop  = 2 * time.Second
	// leadAfterRestart is how soon a container that starts again leads: the start of a process, and no
	// waiting for the end of its own old lease.
	leadAfterRestart = 5 * time.Second
)

// handover is one kind of change of the leader, and how long the slowest one took.
type handover struct {
	name    string
	limit   time.Duration
	slowest time.Duration
	perform func(context.Context, *cell, *pod) (next *pod, took time.Duration, err error)
}

// failover measures how long nobody leads.
func failover(ctx context.Context, s *suite, r *result) (err error) {
	times := s.times(2, 20)
	r.limit = fmt.Sprintf("%s after a crash, %s after a stop, %s after a restart",
		s.within(leadAfterCrash), s.within(leadAfterStop), s.within(leadAfterRestart))
	r.tried = fmt.Sprintf("%d crashes, %d stops, %d restarts", times, times, times)
	c, err := s.newCell(ctx, r.name, cellOptions{connections: 1, rules: rules{lifetime: time.Hour, rotates: true}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := c.newPod()
	if err != nil {
		return err
	}
	if err := errors.Join(leader.startReady(ctx), leader.awaitLead(ctx)); err != nil {
		return err
	}
	kinds := []*handover{
		{name: "crash", limit: leadAfterCrash, perform: crash},
		{name: "stop", limit: leadAfterStop, perform: gracefulStop},
		{name: "restart of the container", limit: leadAfterRestart, perform: restart},
	}
	for range times {
		for _, kind := range kinds {
			next, took, err := kind.perform(ctx, c, leader)
			if err != nil {
				return fmt.Errorf("%s: %w", kind.name, err)
			}
			leader, kind.slowest = next, max(kind.slowest, took)
			if took > s.within(kind.limit) {
				r.breach("%s: nobody led for %.1f s", kind.name, took.Seconds())
			}
		}
	}
	for _, kind := range kinds {
		r.note("%s: led again after %.1f s at most", kind.name, kind.slowest.Seconds())
	}
	return leader.stop(ctx)
}

// standby is one more replica that is ready.
func (c *cell) standby(ctx context.Context) (*pod, error) {
	p, err := c.newPod()
	if err != nil {
		return nil, err
	}
	return p, p.startReady(ctx)
}

// crash kills the leader; the replica that stands by has to wait for the end of its lease.
func crash(ctx context.Context, c *cell, leader *pod) (*pod, time.Duration, error) {
	next, err := c.standby(ctx)
	if err != nil {
		return nil, 0, err
	}
	killed := time.Now()
	err = errors.Join(leader.kill(), next.awaitLead(ctx))
	return next, time.Since(killed), err
}

// gracefulStop ends the leader, which gives its lease back.
func gracefulStop(ctx context.Context, c *cell, leader *pod) (*pod, time.Duration, error) {
	next, err := c.standby(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := leader.stop(ctx); err != nil {
		return nil, 0, err
	}
	ended := time.Now()
	err = next.awaitLead(ctx)
	return next, time.Since(ended), err
}

// restart kills the leader, whose container starts again with its journal: it knows its own lease.
func restart(ctx context.Context, c *cell, leader *pod) (*pod, time.Duration, error) {
	if err := leader.kill(); err != nil {
		return nil, 0, err
	}
	before, err := c.renewedAt(ctx)
	if err != nil {
		return nil, 0, err
	}
	killed := time.Now()
	if err := leader.start(""); err != nil {
		return nil, 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err = poll(bounded, 20*time.Millisecond, func() (bool, error) {
		now, err := c.renewedAt(ctx)
		return now.After(before), err
	}, func() string { return "nobody renews the lease" })
	return leader, time.Since(killed), err
}

// renewedAt is when the lease was renewed last.
func (c *cell) renewedAt(ctx context.Context) (time.Time, error) {
	lease := &coordinationv1.Lease{}
	err := c.env.Client.Get(ctx, objectKey(c.name, "oauth-operator"), lease)
	return ptr.Deref(lease.Spec.RenewTime, metav1.MicroTime{}).Time, err
}
