// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the operator on a real API server against a bare token endpoint, next to a
// baseline in the same run, and prints one table. It needs bin/manager, the control plane and
// Linux's /proc.
//
// The operator is a process of its own with its own identity. The token endpoint and the baseline
// are goroutines of this one, and all share the machine's cores. Connections are not consented to:
// their records are sealed as the callback server would, each with a refresh token of the endpoint
// that is good for one use. How long tokens have lived is written into the records, so that any
// number of them is due at any moment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// minConnections is the smallest number whose figures mean anything.
const minConnections = 20

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	n := flag.Int("n", 1000, "how many connections")
	concurrency := flag.Int("concurrency", 16, "how many are worked on at the same time, by the operator and by the baseline")
	flag.Parse()
	if *n < minConnections || *concurrency < 1 {
		return fmt.Errorf("at least %d connections and a concurrency of 1 are needed", minConnections)
	}
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	b, err := start(ctx, *n, *concurrency)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	r := &results{connections: *n, concurrency: *concurrency}
	if err := b.measure(ctx, r); err != nil {
		return err
	}
	return r.print(os.Stdout)
}

// phase is one part of the run. The operator runs only within phases, so that the baseline has the
// API server for itself.
type phase struct {
	title string
	run   func(context.Context, *results) error
}

func (b *bench) phases() []phase {
	return []phase{
		{"the operator with nothing to do", b.empty},
		{"making connections and their records", b.populate},
		{"first publication of every target", b.publishAll},
		{"restart with fresh tokens, then rest", b.restart},
		{"baseline before", b.baseline},
		{"every connection due at once", b.storm},
		{"baseline after", b.baseline},
		{"due one after the other", b.steady},
	}
}

func (b *bench) measure(ctx context.Context, r *results) error {
	for _, p := range b.phases() {
		started := time.Now()
		fmt.Fprintf(os.Stderr, "%-40s", p.title)
		if err := p.run(ctx, r); err != nil {
			fmt.Fprintln(os.Stderr)
			return fmt.Errorf("%s: %w", p.title, err)
		}
		fmt.Fprintf(os.Stderr, "%6.1f s\n", time.Since(started).Seconds())
	}
	if reuses := b.endpoint.bare.Reuses(); reuses > 0 {
		return fmt.Errorf("%d refresh tokens were sent twice", reuses)
	}
	return nil
}
