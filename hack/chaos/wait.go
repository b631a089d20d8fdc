// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
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
