// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// parentPoll is how often to look whether the starting process is still there.
const parentPoll = 500 * time.Millisecond

// untilAskedToEnd returns a context that ends at Ctrl-C, SIGTERM or SIGHUP, or with the process that
// started this one: "go run" dies of a SIGTERM without passing it on.
func untilAskedToEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	// A reader that goes away, as in "make demo | head", is an error of the next write.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	parent := os.Getppid()
	go func() {
		ticker := time.NewTicker(parentPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					stop()
				}
			}
		}
	}()
	return ctx, stop
}
