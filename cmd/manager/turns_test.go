// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// unhindered is less than the 30 s for which a request that hangs holds its worker, and more than the rest
// takes on a busy machine.
const unhindered = 20 * time.Second

// Whoever may connect accounts in a namespace can have any number of attempts wait for a provider of their
// own. kubectl oauth waits for the operator's first word for ten seconds only.
func TestAttemptsAtAProviderThatHangsHoldUpNoOtherNamespace(t *testing.T) {
	t.Parallel()
	hostile := native(t)
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	hostile.provider.Fault(idp.Token, -1, idp.Hang(released))
	hostile.await(hostile.apply("github", nativeSpec), v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	attempts := make([]*v1alpha1.OAuthAuthorization, 40)
	for i := range attempts {
		attempts[i] = hostile.attempt("github", 1000+i)
	}
	for _, attempt := range attempts {
		hostile.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
	}
	for i, attempt := range attempts {
		hostile.handOver(attempt, v1alpha1.AuthorizationResponse{Code: strconv.Itoa(i), Issuer: hostile.provider.Issuer()})
	}
	hostile.eventually("a request that hangs", func() (bool, string) { return hostile.provider.Count(idp.Token) > 0, "" })

	other := newWorld(t, rotating)
	other.apply("github", other.inline(""))
	began := time.Now()
	other.awaitAttempt(other.attempt("github", 1), v1alpha1.ReasonWaitingForBrowser)
	if took := time.Since(began); took > unhindered {
		t.Errorf("another namespace waited for %s", took)
	}
}

// Each connection that waits for a provider holds a worker for half a minute, and there are as many
// connections as somebody likes to make.
func TestConnectionsAtAProviderThatHangsHoldUpNoOtherNamespace(t *testing.T) {
	t.Parallel()
	hostile, other := newWorld(t, rotating), newWorld(t, rotating)
	connected := other.apply("before", other.inline("grant: ClientCredentials"))
	other.await(connected, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	hostile.provider.Fault(idp.Token, -1, idp.Hang(released))
	for i := range 64 {
		hostile.apply("robot-"+strconv.Itoa(i), hostile.inline("grant: ClientCredentials"))
	}
	hostile.eventually("many requests that hang", func() (bool, string) {
		n := hostile.provider.Count(idp.Token)
		return n >= 30, strconv.Itoa(n)
	})

	began := time.Now()
	other.await(other.apply("robot", other.inline("grant: ClientCredentials")), v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	other.refreshed(connected)
	if took := time.Since(began); took > unhindered {
		t.Errorf("another namespace waited for %s", took)
	}
}

func TestAProviderThatAsksToWaitIsLeftAloneByAllConnectionsOfTheClient(t *testing.T) {
	t.Parallel()
	const wait = 20 * time.Second // of the last five nothing is said
	w := newWorld(t, rotating)
	robot := func(i int) *v1alpha1.OAuthConnection {
		return w.apply("robot-"+strconv.Itoa(i), w.inline("grant: ClientCredentials"))
	}
	connected := robot(0)
	w.await(connected, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.provider.Fault(idp.Token, 1, idp.Throttle(wait))
	robots := []*v1alpha1.OAuthConnection{robot(1)}
	w.await(robots[0], v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonThrottled)
	for i := range 10 {
		robots = append(robots, robot(2+i))
	}
	w.annotate(connected, v1alpha1.RefreshRequestedAnnotation, "now, please")
	said := w.await(robots[10], v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonThrottled)
	w.contains(said.Message, "told another connection to wait")

	count := connected.Status.RefreshCount // the person's request was not acknowledged before
	w.eventually("a renewal", func() (bool, string) {
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(connected), connected)
		return err == nil && connected.Status.RefreshCount > count, describe(connected)
	})
	for _, conn := range robots {
		w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	requests := w.provider.Requests(idp.Token)
	// The operator goes by the Date of the API server, which has whole seconds.
	if left := requests[2].Time.Sub(requests[1].Time); left < wait-time.Second {
		t.Errorf("it was asked again after %s", left)
	}
	if len(requests) > 2+len(robots)+2 {
		t.Errorf("%d requests for %d connections", len(requests), len(robots)+1)
	}
}

// The name of a client is no secret: anybody can describe one of that name, with a secret that is wrong and
// rules that call the refusal a throttling, and ask again and again.
func TestAClientOfTheSameNameElsewhereSlowsNobodyDown(t *testing.T) {
	t.Parallel()
	w, hostile := newWorld(t, rotating), newWorld(t, rotating)
	hostile.provider = w.provider
	hostile.createSecret("wrong", map[string]string{"client-secret": "wrong"})
	robot := hostile.apply("robot", "grant: ClientCredentials\n"+
		"provider: {issuer: ISSUER, errors: [{code: invalid_client, means: Throttled}]}\n"+
		"client: {id: "+idp.DefaultClient().ID+", secretRef: {name: wrong}}")
	hostile.await(robot, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonThrottled)
	ended := make(chan struct{})
	var asking sync.WaitGroup
	defer asking.Wait()
	defer close(ended)
	asking.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			case <-time.After(300 * time.Millisecond):
			}
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d"}}}`, v1alpha1.RefreshRequestedAnnotation, i))
			_ = env.Client.Patch(t.Context(), robot.DeepCopy(), patch)
		}
	})

	began := time.Now()
	var robots []*v1alpha1.OAuthConnection
	for i := range 10 {
		robots = append(robots, w.apply("robot-"+strconv.Itoa(i), w.inline("grant: ClientCredentials")))
	}
	for _, robot := range robots {
		w.await(robot, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
	if took := time.Since(began); took > unhindered {
		t.Errorf("they waited for %s", took)
	}
}
