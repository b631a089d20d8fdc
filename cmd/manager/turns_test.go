// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

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
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another namespace waited for %s", took)
	}
}
