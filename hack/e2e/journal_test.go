// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
	"github.com/oauth-operator/oauth-operator/internal/testenv/prom"
)

// leadAgainWithin is from the crash of a leader's container to the same one leading again: the start of a
// process, on a busy machine. The lease would be good for 15 s.
const leadAgainWithin = 15 * time.Second

// killLosesNothing takes the API server away while the provider answers, asks the operator to end, kills
// it when it does not, and starts it again, all before the API server is back.
func killLosesNothing(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	dir := t.TempDir()
	p := w.start(t, "--journal-dir="+dir)
	namespace := w.team(t, nil)
	names := w.connected(t, namespace, interruptedRefreshes)

	answer := w.holdRefreshes(t, namespace, names)
	w.outage.from = time.Now()
	if err := w.env.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	close(answer)
	w.awaitJournal(t, dir, interruptedRefreshes)
	for range 2 { // the kubelet may repeat itself
		if err := syscall.Kill(p.Pid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, func(context.Context) error {
			if runs(p.Pid()) && !strings.Contains(p.Log(), "waiting until every token is saved") {
				return errors.New("the operator does not notice the signal")
			}
			return nil
		})
	}
	if !runs(p.Pid()) {
		t.Fatalf("the operator ended with tokens in its memory:\n%s", tail(p.Log(), 20))
	}
	w.awaitAlert(t, p, interruptedRefreshes)
	w.kill(t, p)

	next := w.launch(t, operator.Options{Args: []string{"--journal-dir=" + dir}})
	eventually(t, patience, func(context.Context) error {
		if !strings.Contains(next.Log(), "waiting for the API server") {
			return errors.New("the operator does not notice that there is no API server")
		}
		return nil
	})
	if err := w.env.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	w.outage.to = time.Now()
	w.ready(t, next)
	w.awaitJournal(t, dir, 0)
	w.nothingWasLost(t, namespace, names)
}

func (w *world) awaitJournal(t *testing.T, dir string, want int) {
	t.Helper()
	eventually(t, patience, func(context.Context) error {
		files, err := filepath.Glob(filepath.Join(dir, "*.sealed"))
		if err == nil && len(files) != want {
			err = fmt.Errorf("the journal has %d files, not %d", len(files), want)
		}
		return err
	})
}

// awaitAlert waits until somebody is told of the tokens that a process which ends has not saved yet: on its own
// it ends when the API server is back, unless a person who sees it hang deletes it before.
func (w *world) awaitAlert(t *testing.T, p *operator.Process, want float64) {
	t.Helper()
	eventually(t, patience, func(ctx context.Context) error {
		page, err := prom.Fetch(ctx, p.MetricsURL)
		if got := prom.Total(page, "oauth_operator_unsaved_tokens", "", ""); err == nil && got != want {
			err = fmt.Errorf("the metric tells of %g unsaved tokens, not %g", got, want)
		}
		return err
	})
}

// leadsAgain kills the leader's container beside a replica that would take over.
func leadsAgain(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	journal := "--journal-dir=" + t.TempDir()
	leader := w.start(t, journal)
	w.awaitLeader(t, leader)
	w.start(t, "--journal-dir="+t.TempDir())
	holder := w.leaseHolder(t)

	second := w.launch(t, operator.Options{Args: []string{journal}})
	eventually(t, patience, func(context.Context) error {
		if !strings.Contains(second.Log(), "another process holds the journal") {
			return errors.New("a second process takes the journal of one that runs")
		}
		return nil
	})
	w.leave(second)

	w.kill(t, leader)
	crash := time.Now()
	again := w.start(t, journal)
	w.awaitLeader(t, again)
	if took := time.Since(crash); took > leadAgainWithin {
		t.Errorf("the leader leads again after %.1f s", took.Seconds())
	}
	if got := w.leaseHolder(t); got != holder {
		t.Errorf("the lease was %s's and is %s's", holder, got)
	}
	t.Logf("leads again %.1f s after the crash", time.Since(crash).Seconds())
}
