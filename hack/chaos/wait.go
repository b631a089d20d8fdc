// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// poll asks until it is so, or until ctx ends: then the error says what was so instead.
func poll(ctx context.Context, every time.Duration, so func() (bool, error), instead func() string) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := so()
		if ok || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", instead(), ctx.Err())
		case <-tick.C:
		}
	}
}

// pause lets time go by.
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

// each runs do for 0 to n-1, workers of them at a time, until the first error.
func each(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return group.Wait()
}
