// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyTheOperatorsOwnKindsCountAsItsWrites(t *testing.T) {
	counts := map[request]float64{
		{"PUT", "secrets"}:                   2,
		{"PATCH", "oauthconnections/status"}: 1,
		{"GET", "secrets"}:                   9,
		{"PUT", "configmaps"}:                5,
	}
	want := map[request]float64{{"PUT", "secrets"}: 2, {"PATCH", "oauthconnections/status"}: 1}
	if diff := cmp.Diff(want, writesIn(counts)); diff != "" {
		t.Error(diff)
	}
}

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	var ascending []time.Duration
	for i := range 1000 {
		ascending = append(ascending, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0.5: 500, 0.999: 999, 1: 1000} {
		if got := percentile(ascending, share); got != want {
			t.Errorf("%v: got %d, want %d", share, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestAProcessKnowsItsMemoryAndItsTime(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil || m.resident == 0 || m.peak < m.resident {
		t.Errorf("memory %+v, %v", m, err)
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
}
