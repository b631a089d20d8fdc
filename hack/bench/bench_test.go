// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const page = `# HELP apiserver_request_total Requests.
# TYPE apiserver_request_total counter
apiserver_request_total{resource="secrets",subresource="",verb="PUT"} 3
apiserver_request_total{resource="secrets",subresource="",verb="GET"} 1.5e+01
apiserver_request_total_other{resource="secrets"} 7
up 1
`

func TestSamplesAreTheLinesOfOneMetricOnly(t *testing.T) {
	got := map[string]float64{}
	for _, s := range samples(page, "apiserver_request_total") {
		got[s.labels["verb"]+" "+s.labels["resource"]] = s.value
	}
	want := map[string]float64{"PUT secrets": 3, "GET secrets": 15}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if list := samples(page, "up"); len(list) != 1 || list[0].value != 1 {
		t.Errorf("a metric without labels: %v", list)
	}
}

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
