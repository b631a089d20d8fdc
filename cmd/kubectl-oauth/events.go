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

// event is what the operator said about a connection.
type event struct {
	warning bool
	last    time.Time
	times   int32
	reason  string
	note    string
}

// warnings are the last different ones about a connection, the newest first.
func (a *app) warnings(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]event, error) {
	events, err := a.events(ctx, conn)
	if err != nil {
		return nil, err
	}
	warnings := slices.DeleteFunc(events, func(e event) bool { return !e.warning })
	same := func(a, b event) bool { return a.reason == b.reason && a.note == b.note }
	warnings = slices.CompactFunc(warnings, same)
	return warnings[:min(len(warnings), maxWarnings)], nil
}

// events are all that the API server still has, the newest first.
func (a *app) events(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]event, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	list := &eventsv1.EventList{}
	err = c.List(ctx, list, client.InNamespace(conn.Namespace), client.MatchingFields{"regarding.uid": string(conn.UID)})
	if err != nil {
		return nil, err
	}
	events := make([]event, 0, len(list.Items))
	for i := range list.Items {
		events = append(events, eventOf(&list.Items[i]))
	}
	slices.SortStableFunc(events, func(a, b event) int { return b.last.Compare(a.last) })
	return events, nil
}

// eventOf reads the newest of the times that events have had over Kubernetes' versions.
func eventOf(e *eventsv1.Event) event {
	read := event{
		warning: e.Type == corev1.EventTypeWarning, reason: e.Reason, note: e.Note,
		last: e.CreationTimestamp.Time, times: max(e.DeprecatedCount, 1),
	}
	times := []time.Time{e.EventTime.Time, e.DeprecatedLastTimestamp.Time}
	if e.Series != nil {
		times, read.times = append(times, e.Series.LastObservedTime.Time), e.Series.Count
	}
	for _, t := range times {
		if !t.IsZero() {
			read.last = t
		}
	}
	return read
}
