// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// maxWarnings keeps a screen a screen.
const maxWarnings = 3

// warning is what an event says.
type warning struct {
	last   time.Time
	times  int32
	reason string
	note   string
}

// warnings are the last different ones that the operator gave about a connection, the newest first.
func (a *app) warnings(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]warning, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	events := &eventsv1.EventList{}
	err = c.List(ctx, events, client.InNamespace(conn.Namespace),
		client.MatchingFields{"regarding.uid": string(conn.UID), "type": corev1.EventTypeWarning})
	if err != nil {
		return nil, err
	}
	var warnings []warning
	for i := range events.Items {
		warnings = append(warnings, warningOf(&events.Items[i]))
	}
	slices.SortFunc(warnings, func(a, b warning) int { return b.last.Compare(a.last) })
	same := func(a, b warning) bool { return a.reason == b.reason && a.note == b.note }
	warnings = slices.CompactFunc(warnings, same)
	return warnings[:min(len(warnings), maxWarnings)], nil
}

// warningOf reads the newest of the times that events have had over Kubernetes' versions.
func warningOf(e *eventsv1.Event) warning {
	w := warning{last: e.CreationTimestamp.Time, times: max(e.DeprecatedCount, 1), reason: e.Reason, note: e.Note}
	times := []time.Time{e.EventTime.Time, e.DeprecatedLastTimestamp.Time}
	if e.Series != nil {
		times, w.times = append(times, e.Series.LastObservedTime.Time), e.Series.Count
	}
	for _, t := range times {
		if !t.IsZero() {
			w.last = t
		}
	}
	return w
}
