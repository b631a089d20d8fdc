// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/kubernetes"
)

// sample is one line of Prometheus' text format.
type sample struct {
	labels map[string]string
	value  float64
}

var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// samples picks one metric out of a page of metrics. It is enough for what Go programs expose: no
// timestamps, labels without escapes.
func samples(page, name string) []sample {
	var list []sample
	for line := range strings.Lines(page) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		value, err := strconv.ParseFloat(rest[at+1:], 64)
		if err != nil {
			continue
		}
		s := sample{labels: map[string]string{}, value: value}
		for _, match := range label.FindAllStringSubmatch(rest[:at], -1) {
			s.labels[match[1]] = match[2]
		}
		list = append(list, s)
	}
	return list
}

// total adds up the samples of a metric whose label has this value.
func total(page, name, label, value string) float64 {
	var sum float64
	for _, s := range samples(page, name) {
		if s.labels[label] == value {
			sum += s.value
		}
	}
	return sum
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	return string(page), err
}

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
	for _, s := range samples(string(page), "apiserver_request_total") {
		kind := request{verb: s.labels["verb"], resource: s.labels["resource"]}
		if kind.resource == "" || kind.resource == "leases" || kind.verb == "WATCH" || kind.verb == "LIST" {
			continue
		}
		if sub := s.labels["subresource"]; sub != "" {
			kind.resource += "/" + sub
		}
		counts[kind] += s.value
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
