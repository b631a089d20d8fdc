// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"testing"

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
	for _, s := range Samples(page, "apiserver_request_total") {
		got[s.Labels["verb"]+" "+s.Labels["resource"]] = s.Value
	}
	want := map[string]float64{"PUT secrets": 3, "GET secrets": 15}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if list := Samples(page, "up"); len(list) != 1 || list[0].Value != 1 {
		t.Errorf("a metric without labels: %v", list)
	}
}
