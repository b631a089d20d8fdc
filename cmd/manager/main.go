// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager is the operator: it reconciles OAuthConnections on the leader and serves the
// pages on which people connect accounts on every replica.
//
//	manager [flags]         runs the operator
//	manager rotate-keyset   adds a fresh key to the keyset and makes it primary
//	manager prune-keyset    drops the older keys once no record needs them
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oauth-operator:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	// However often the end is asked for, tokens that are not saved yet are waited for.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	logger := o.logger()
	ctrl.SetLogger(logger)
	klog.SetLogger(logger) // client-go's own lines
	if o.keyset != nil {
		keys, err := newKeysets(o, os.Stdout)
		if err != nil {
			return err
		}
		return o.keyset(keys, ctx)
	}
	return run(ctx, o)
}
