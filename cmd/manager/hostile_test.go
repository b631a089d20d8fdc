// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func TestAnEndlessMessageDoesNotKeepTheStatusFromBeingWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idp.Options{})
	// Quoted in the error, the name has ten characters for each.
	name := strings.Repeat("\U000e0001", 4000)
	conn := w.apply("subject", w.inline("grant: ClientCredentials\nsecret: {template: {data: {token: '{{template \""+name+"\"}}'}}}"))
	w.await(conn, v1alpha1.SecretPublishedCondition, metav1.ConditionFalse, v1alpha1.ReasonTemplateInvalid)
	w.eventually("an event of it", func() (bool, string) {
		var list eventsv1.EventList
		if err := env.Client.List(t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return false, err.Error()
		}
		for _, e := range list.Items {
			if e.Reason == v1alpha1.ReasonTemplateInvalid {
				return true, ""
			}
		}
		return false, "there is none"
	})
}
