// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-oauth is a kubectl plugin: it connects accounts, and shows and steers the
// OAuthConnections that the operator keeps. Each verb is a file; root.go lists them.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	exitFailed      = 1
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(run(os.Args, streams, clock.RealClock{}))
}

// run executes args as a command line, args[0] being the program, and returns the exit code. The
// first signal ends the context, so that verbs can tidy up; the second ends the process.
func run(args []string, streams genericiooptions.IOStreams, clock clock.Clock) int {
	// People read the errors that come back; the libraries' own lines would repeat them.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	a := newApp(args[0], streams, clock)
	root := newRootCommand(a)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	a.report(err)
	return exitFailed
}
