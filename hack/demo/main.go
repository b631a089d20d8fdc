// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo connects and refreshes an OAuth account on a real Kubernetes API server and tells
// what happens. It needs bin/manager, bin/kubectl-oauth and bin/k8s (make demo builds them), and leaves nothing behind.
//
//	demo          tells the story and ends
//	demo --stay   prepares everything and stays up for a person to try
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	stay := flag.Bool("stay", false, "stay up for a person to try, until Ctrl-C")
	flag.Parse()
	log.SetLogger(logr.Discard())
	os.Exit(run(*stay))
}

// run returns the exit code. Whatever happens, everything that was started is ended.
func run(stay bool) int {
	ctx, stop := untilAskedToEnd(context.Background())
	defer stop()
	d := &demo{story: newStory(os.Stdout), stay: stay, addresses: addressesFromEnvironment()}
	err := d.play(ctx)
	interrupted := ctx.Err() != nil
	if err != nil && !interrupted {
		d.story.fail(err, d.operatorLog())
	}
	untidy := d.cleanUp(interrupted)
	if untidy != nil {
		fmt.Fprintln(os.Stderr, "cleaning up:", untidy)
	}
	switch {
	case interrupted && untidy == nil:
		fmt.Fprintln(os.Stderr, "\nEverything is stopped and removed.")
		if stay {
			return 0
		}
		return 130 // by convention: ended by SIGINT
	case err != nil || untidy != nil:
		return 1
	}
	return 0
}
