// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

const (
	// startWithin bounds the start of a container: the machine may be busy.
	startWithin = time.Minute
	// trimmedWithin is how soon after the last save the journal is empty.
	trimmedWithin = 10 * time.Second
)

// pod is a place where the operator's container runs: its journal outlives the container, not the pod.
type pod struct {
	cell   *cell
	config *rest.Config
	dir    string
	args   []string
	env    []string
	runs   int
	*operator.Process
}

// newPod makes a pod. Its container is started by start.
func (c *cell) newPod(args ...string) (*pod, error) {
	dir, err := os.MkdirTemp(c.dir, "pod-")
	if err != nil {
		return nil, err
	}
	p := &pod{cell: c, config: c.identity, dir: dir}
	journal := filepath.Join(dir, "journal")
	if err := os.Mkdir(journal, 0o700); err != nil {
		return nil, err
	}
	p.args = append([]string{"--namespace=" + c.name, "--log-format=text"}, args...)
	if c.journals {
		p.args = append(p.args, "--journal-dir="+journal)
	}
	for _, team := range c.teams {
		p.args = append(p.args, "--watch-namespace="+team)
	}
	return p, nil
}

// start runs the container, once more or for the first time. crash is where it is to die, or empty.
func (p *pod) start(crash string) (err error) {
	p.runs++
	env := append([]string{crashpoint.TraceVariable + "=" + p.traceFile(), crashpoint.CrashVariable + "=" + crash}, p.env...)
	p.Process, err = operator.Start(operator.Options{Config: p.config, PublicURL: publicURL, Args: p.args, Env: env})
	return err
}

// startReady runs the container and waits until it is ready.
func (p *pod) startReady(ctx context.Context) error {
	if err := p.start(""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return p.Ready(ctx)
}

func (p *pod) traceFile() string { return filepath.Join(p.dir, fmt.Sprintf("trace-%05d", p.runs)) }

// kill ends the container as a crash does.
func (p *pod) kill() error {
	if p.Process == nil {
		return nil
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// stop ends the container as the kubelet does, and waits for its end.
func (p *pod) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		return fmt.Errorf("the operator did not end well: %w\n%s", err, p.tail(20))
	}
	return nil
}

// revive starts the container again where it ended by itself, as the kubelet does.
func (p *pod) revive(ctx context.Context) error {
	select {
	case <-p.Done():
		return errors.Join(ctx.Err(), p.start(""))
	default:
		return nil
	}
}

// ended waits until the container ends by itself.
func (p *pod) ended(ctx context.Context, limit time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.Done():
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the operator still runs after %s", limit)
	}
}

// awaitLog waits until the container has printed something.
func (p *pod) awaitLog(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, func() (bool, error) { return strings.Contains(p.Log(), text), nil },
		func() string { return fmt.Sprintf("the log does not say %q", text) })
}

// id is what the pod calls itself in its lease and its intents; empty before its first start.
func (p *pod) id() string {
	owner, err := os.ReadFile(filepath.Join(p.dir, "journal", "owner"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(owner))
}

// awaitLead waits until this pod has the lease.
func (p *pod) awaitLead(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	lease, holder := &coordinationv1.Lease{}, ""
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		err := p.cell.env.Client.Get(ctx, objectKey(p.cell.name, "oauth-operator"), lease)
		holder = ptr.Deref(lease.Spec.HolderIdentity, "")
		return err == nil && holder != "" && holder == p.id(), client.IgnoreNotFound(err)
	}, func() string { return fmt.Sprintf("%q leads, not %q", holder, p.id()) })
}

// left are the files that the journal holds besides its owner's.
func (p *pod) left() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(p.dir, "journal"))
	var names []string
	for _, e := range entries {
		if e.Name() != "owner" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// expectTrimmed notes when the journal still has what is long saved.
func (p *pod) expectTrimmed(ctx context.Context, r *result, what string) {
	ctx, cancel := context.WithTimeout(ctx, trimmedWithin)
	defer cancel()
	var left []string
	err := poll(ctx, 50*time.Millisecond, func() (_ bool, err error) {
		left, err = p.left()
		return len(left) == 0, err
	}, func() string { return fmt.Sprintf("%d files", len(left)) })
	if err != nil {
		r.breach("%s: the journal is not empty at the end: %v", what, err)
	}
}

// tail is the end of the container's log.
func (p *pod) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(p.Log()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
