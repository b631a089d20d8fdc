// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stormers write at the same time, each as fast as the API server lets it.
const stormers = 4

// conflicts lets somebody else write to all objects all the time: every compare-and-swap of the operator
// may fail.
func conflicts(ctx context.Context, s *suite, r *result) (err error) {
	rounds := s.times(5, 100)
	r.limit = "0 lost"
	c, err := s.newCell(ctx, r.name, cellOptions{teams: 2, connections: 40, rules: dawdling(0)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, release, err := c.runPod(ctx)
	if err != nil {
		return err
	}
	defer release()
	storm, calm := context.WithCancel(ctx)
	defer calm()
	var writes atomic.Int64
	group, storm := errgroup.WithContext(storm)
	for i := range stormers {
		group.Go(func() error { return c.storm(storm, i, &writes) })
	}
	for round := range rounds {
		if err := c.refreshAll(ctx, fmt.Sprintf("round-%d", round)); err != nil {
			return errors.Join(err, p.kill())
		}
	}
	// The last words are asked for in the storm too.
	if err := c.lastWords(ctx, r, c.conns, fmt.Sprintf("%d writes of others", writes.Load())); err != nil {
		return err
	}
	calm()
	p.tellRestarts(r)
	if reuses, repeats := c.tokens.sentTwice(); reuses+repeats > 0 {
		r.breach("%d refresh tokens were sent twice", reuses+repeats)
	}
	return errors.Join(group.Wait(), p.stop(ctx))
}

// refreshAll asks for a renewal of everything and waits for it.
func (c *cell) refreshAll(ctx context.Context, request string) error {
	before := c.tokens.counts(0)[answered]
	if err := c.askAll(ctx, c.conns, request); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	return poll(bounded, 50*time.Millisecond, func() (bool, error) {
		return c.tokens.counts(0)[answered] >= before+len(c.conns), nil
	}, func() string {
		return fmt.Sprintf("%d of %d renewals came", c.tokens.counts(0)[answered]-before, len(c.conns))
	})
}

// storm writes an annotation to the connections, their records and their targets, again and again.
func (c *cell) storm(ctx context.Context, number int, writes *atomic.Int64) error {
	for i := number; ctx.Err() == nil; i++ {
		conn := c.conns[i%len(c.conns)].object
		record, target := &corev1.Secret{}, &corev1.Secret{}
		record.Namespace, record.Name = c.name, "oauth-"+string(conn.UID)
		target.Namespace, target.Name = conn.Namespace, conn.Name
		patch := client.RawPatch(types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"annotations":{"chaos.example.com/storm":"%d"}}}`, i))
		for _, object := range []client.Object{record, conn.DeepCopy(), target, record} {
			if err := c.env.Client.Patch(ctx, object, patch); err != nil && ctx.Err() == nil {
				return err
			}
			writes.Add(1)
		}
	}
	return nil
}
