// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/kubernetes"

	"github.com/oauth-operator/oauth-operator/internal/testenv/prom"
)

// request is a kind of request to the API server.
type request struct{ verb, resource string }

func (r request) String() string { return r.verb + " " + r.resource }

// writes says whether it is one of those that the operator may send to change something. Its lease,
// which it renews all the time, is not counted.
func (r request) writes() bool {
	kind, _, _ := strings.Cut(r.resource, "/")
	return r.verb != "GET" && slices.Contains([]string{"secrets", "events", "oauthconnections",
		"oauthauthorizations", "oauthproviders", "clusteroauthproviders"}, kind)
}

// requests counts what the API server answered, from everybody: the operator is alone with it while
// it is measured. The API server's own counter costs less than an audit log. Watches and lists, of
// which there are a few at the start, and leases are left out.
func (b *bench) requests(ctx context.Context) (map[request]float64, error) {
	admin, err := kubernetes.NewForConfig(b.env.Config)
	if err != nil {
		return nil, err
	}
	page, err := admin.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[request]float64{}
	for _, s := range prom.Samples(string(page), "apiserver_request_total") {
		kind := request{verb: s.Labels["verb"], resource: s.Labels["resource"]}
		if kind.resource == "" || kind.resource == "leases" || kind.verb == "WATCH" || kind.verb == "LIST" {
			continue
		}
		if sub := s.Labels["subresource"]; sub != "" {
			kind.resource += "/" + sub
		}
		counts[kind] += s.Value
	}
	return counts, nil
}

// since returns what was added to earlier counts.
func since(before, after map[request]float64) map[request]float64 {
	added := map[request]float64{}
	for kind, count := range after {
		if count > before[kind] {
			added[kind] = count - before[kind]
		}
	}
	return added
}

// writesIn picks the operator's writes.
func writesIn(requests map[request]float64) map[request]float64 {
	writes := maps.Clone(requests)
	maps.DeleteFunc(writes, func(kind request, _ float64) bool { return !kind.writes() })
	return writes
}
