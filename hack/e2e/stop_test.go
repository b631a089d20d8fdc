// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const (
	refreshesUnderWay = 20
	// stopWithin is from the provider's answers to the end of the process.
	stopWithin = 5 * time.Second
	// leadWithin is from there to the next leader: it looks at the lease every 2 s at least, and the
	// machine is busy.
	leadWithin = 5 * time.Second
)

// gracefulStop ends the leader by SIGTERM while the provider is working on refreshes.
func gracefulStop(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	leader := w.start(t)
	w.awaitLeader(t, leader)
	next := w.start(t)
	namespace := w.team(t, nil)
	names := w.connected(t, namespace, refreshesUnderWay)
	holder := w.leaseHolder(t)

	answer := w.holdRefreshes(t, namespace, names)
	stopped := make(chan time.Time)
	go func() {
		w.stop(t, leader)
		stopped <- time.Now()
	}()
	eventually(t, patience, func(context.Context) error {
		if !strings.Contains(leader.Log(), "Stopping and waiting") {
			return errors.New("the leader has not noticed the signal")
		}
		return nil
	})
	close(answer)
	answered := time.Now()
	end := <-stopped
	if took := end.Sub(answered); took > stopWithin {
		t.Errorf("the leader ended %.1f s after the provider's last answer", took.Seconds())
	}
	w.awaitLeader(t, next)
	if took := time.Since(end); took > leadWithin {
		t.Errorf("the next leader came after %.1f s", took.Seconds())
	}
	t.Logf("ended after %.1f s, led again after %.1f s; the lease went from %s to %s",
		end.Sub(answered).Seconds(), time.Since(end).Seconds(), holder, w.leaseHolder(t))

	w.nothingWasLost(t, namespace, names)
}

// leaseHolder is who leads, by the lease.
func (w *world) leaseHolder(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: testenv.OperatorNamespace, Name: "oauth-operator"}
	if err := w.env.Client.Get(t.Context(), key, lease); err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}
