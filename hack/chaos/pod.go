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
	"sync"
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
	// reviveEvery is how often it is looked at whether a container ended; the kubelet waits longer.
	reviveEvery = 500 * time.Millisecond
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

	mu      sync.Mutex
	process *operator.Process
	// wanted: it is not the scenario that ended it.
	wanted   bool
	restarts int
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
func (p *pod) start(crash string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run(crash)
}

func (p *pod) run(crash string) (err error) {
	p.runs++
	env := append([]string{crashpoint.TraceVariable + "=" + p.traceFile(), crashpoint.CrashVariable + "=" + crash}, p.env...)
	p.process, err = operator.Start(operator.Options{Config: p.config, PublicURL: publicURL, Args: p.args, Env: env})
	p.wanted = err == nil
	return err
}

// current is the process of the container that runs, or ran last; nil before the first.
func (p *pod) current() *operator.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// abandon takes the container from whoever would start it again.
func (p *pod) abandon() *operator.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	return p.process
}

// startReady runs the container and waits until it is ready.
func (p *pod) startReady(ctx context.Context) error {
	if err := p.start(""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return p.current().Ready(ctx)
}

func (p *pod) traceFile() string { return filepath.Join(p.dir, fmt.Sprintf("trace-%05d", p.runs)) }

// kill ends the container as a crash does.
func (p *pod) kill() error {
	process := p.abandon()
	if process == nil {
		return nil
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// stop ends the container as the kubelet does, and waits for its end. That it lost its lease on a busy
// machine is no bad end.
func (p *pod) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	err := p.abandon().Stop(ctx)
	if err != nil && !strings.Contains(p.tail(1), "leader election lost") {
		return fmt.Errorf("the operator did not end well: %w\n%s", err, p.tail(20))
	}
	return nil
}

// supervise starts the container again whenever it ends by itself, as the kubelet does, until release is
// called. An operator that loses its lease ends.
func (p *pod) supervise(ctx context.Context) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for pause(ctx, reviveEvery) == nil {
			p.revive()
		}
	}()
	return func() {
		cancel()
		<-over
	}
}

// runPod makes a pod, supervises it until release is called, and returns when every connection is Ready.
func (c *cell) runPod(ctx context.Context) (p *pod, release func(), err error) {
	if p, err = c.newPod(); err != nil {
		return nil, nil, err
	}
	release = p.supervise(ctx)
	if err := errors.Join(p.startReady(ctx), c.awaitReady(ctx)); err != nil {
		release()
		return nil, nil, fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	return p, release, nil
}

func (p *pod) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted {
		return
	}
	select {
	case <-p.process.Done():
		p.restarts++
		_ = p.run("") // else once more
	default:
	}
}

// ended waits until the container ends by itself.
func (p *pod) ended(ctx context.Context, limit time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.current().Done():
		return nil
	case <-time.After(limit):
		return fmt.Errorf("the operator still runs after %s", limit)
	}
}

// awaitLog waits until the container has printed something.
func (p *pod) awaitLog(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, func() (bool, error) { return strings.Contains(p.current().Log(), text), nil },
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

// tellRestarts notes how often the container ended by itself.
func (p *pod) tellRestarts(r *result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.restarts > 0 {
		r.note("the container ended by itself %d times: on a busy machine a lease is lost", p.restarts)
	}
}

// tail is the end of the container's log.
func (p *pod) tail(lines int) string {
	process := p.current()
	if process == nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(process.Log()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
