// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const interruptedRefreshes = 5

// outageLosesNothing takes the API server away while the provider answers, for so long that the
// operator loses its lease (RenewDeadline of leader election, 10 s) and would end.
func outageLosesNothing(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	p := w.start(t)
	namespace := w.team(t, nil)
	names := w.connected(t, namespace, interruptedRefreshes)

	answer := w.holdRefreshes(t, namespace, names)
	w.outage.from = time.Now()
	stopped := make(chan error)
	go func() { stopped <- w.env.StopAPIServer() }()
	eventually(t, patience, func(context.Context) error {
		if !strings.Contains(p.Log(), "connection refused") {
			return errors.New("the operator still reaches the API server")
		}
		return nil
	})
	close(answer)
	eventually(t, patience, func(context.Context) error {
		if runs(p.Pid()) && !strings.Contains(p.Log(), "waiting until every token is saved") {
			return errors.New("the operator does not notice that it lost its lease")
		}
		return nil
	})
	if !runs(p.Pid()) {
		t.Fatalf("the operator ended with tokens in its memory:\n%s", tail(p.Log(), 20))
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if err := w.env.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	w.outage.to = time.Now()
	t.Logf("the API server was away for %.1f s", w.outage.to.Sub(w.outage.from).Seconds())
	eventually(t, patience, func(context.Context) error {
		if runs(p.Pid()) {
			return errors.New("the operator that lost its lease goes on")
		}
		return nil
	})
	w.leave(p)

	w.start(t) // as the kubelet would start the container again
	w.nothingWasLost(t, namespace, names)
}

// holdRefreshes has all connections refreshed and returns once the provider has processed every request and
// keeps the answers back, until the channel is closed.
func (w *world) holdRefreshes(t *testing.T, namespace string, names []string) chan struct{} {
	t.Helper()
	answer := make(chan struct{})
	w.provider.FaultWhen(idp.Token, idp.Grant("refresh_token"), len(names), idp.HangAfterProcessing(answer))
	w.askRefresh(t, namespace, names, "first")
	eventually(t, patience, func(context.Context) error {
		if n := w.tokenRequests("refresh_token"); n != len(names) {
			return fmt.Errorf("%d of %d refreshes are under way", n, len(names))
		}
		return nil
	})
	return answer
}

// nothingWasLost says whether the held answers reached the workloads, and whether another refresh works:
// whoever lost an answer would send a spent token then, and lose the consent.
func (w *world) nothingWasLost(t *testing.T, namespace string, names []string) {
	t.Helper()
	w.refreshed(t, namespace, names, "first")
	w.accepted(t, namespace, names)
	w.askRefresh(t, namespace, names, "second")
	w.refreshed(t, namespace, names, "second")
	w.accepted(t, namespace, names)
	if n := w.provider.Reuses(); n != 0 {
		t.Errorf("%d spent refresh tokens came back", n)
	}
}

func runs(pid int) bool { return syscall.Kill(pid, 0) == nil }
