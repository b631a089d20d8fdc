// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

const (
	restingConnections = 200
	restFor            = time.Minute
	// settled is how long nothing may be written for rest to begin.
	settled = 3 * time.Second
)

// restIsSilent counts at the API server and at the provider. Leader election is not counted: it renews
// a lease every second, whatever there is to do.
func restIsSilent(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	replicas := []*operator.Process{w.start(t), w.start(t)}
	namespace := w.team(t, nil)
	names := w.connected(t, namespace, restingConnections)

	before := w.awaitRest(t)
	pass(t, restFor)
	if diff := cmp.Diff(before, w.writes(t)); diff != "" {
		t.Errorf("writes during %s of rest (+):\n%s", restFor, diff)
	}

	for _, p := range replicas {
		w.stop(t, p)
	}
	before, asked := w.writes(t), w.providerRequests()
	p := w.start(t)
	eventually(t, patience, func(context.Context) error {
		text, err := metrics(p)
		if n := sample(text, `controller_runtime_reconcile_total\{controller="oauthconnection",.*\}`); err == nil && n < restingConnections {
			err = fmt.Errorf("%v of %d connections were looked at after the restart", n, restingConnections)
		}
		return err
	})
	if diff := cmp.Diff(before, w.awaitRest(t)); diff != "" {
		t.Errorf("writes after a restart with fresh tokens (+):\n%s", diff)
	}
	if diff := cmp.Diff(asked, w.providerRequests()); diff != "" {
		t.Errorf("requests to the provider after a restart with fresh tokens (+):\n%s", diff)
	}
	w.awaitReady(t, namespace, names)
	w.accepted(t, namespace, names)
}

// awaitRest waits until the operator has stopped writing and returns what it has written until then.
func (w *world) awaitRest(t *testing.T) map[testenv.Mutation]int {
	t.Helper()
	deadline := time.Now().Add(patience)
	for last := w.writes(t); ; {
		pass(t, settled)
		now := w.writes(t)
		if maps.Equal(last, now) {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("the operator goes on writing (+):\n%s", cmp.Diff(last, now))
		}
		last = now
	}
}

// writes counts what the operator wrote since the start of the world, but leader election: leases, and
// the Event in the operator's own namespace that says who leads.
func (w *world) writes(t *testing.T) map[testenv.Mutation]int {
	t.Helper()
	if err := w.env.SyncAudit(t.Context()); err != nil {
		t.Fatal(err)
	}
	counts := map[testenv.Mutation]int{}
	_, err := w.env.AuditEvents(func(event *auditv1.Event) bool {
		ref := event.ObjectRef
		switch {
		case event.User.Username != testenv.OperatorUser || ref == nil:
		case slices.Contains([]string{"get", "list", "watch"}, event.Verb):
		case ref.Resource == "leases", ref.Resource == "events" && ref.Namespace == testenv.OperatorNamespace:
		default:
			counts[testenv.Mutation{Verb: event.Verb, Resource: ref.Resource + "/" + ref.Subresource}]++
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// providerRequests counts all that the provider was asked, by anybody.
func (w *world) providerRequests() map[idp.Endpoint]int {
	counts := map[idp.Endpoint]int{}
	for _, e := range []idp.Endpoint{idp.Discovery, idp.Authorize, idp.Token, idp.Revocation, idp.UserInfo, idp.Keys} {
		counts[e] = w.provider.Count(e)
	}
	return counts
}
