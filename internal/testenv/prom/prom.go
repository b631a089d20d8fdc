// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prom reads Prometheus' text format, for the benchmark and the chaos suite.
package prom

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Sample is one line of Prometheus' text format.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// pairs of a label and its value.
var pairs = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// Samples picks one metric out of a page of metrics. It is enough for what Go programs expose: no
// timestamps, labels without escapes.
func Samples(page, name string) []Sample {
	var list []Sample
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
		s := Sample{Labels: map[string]string{}, Value: value}
		for _, match := range pairs.FindAllStringSubmatch(rest[:at], -1) {
			s.Labels[match[1]] = match[2]
		}
		list = append(list, s)
	}
	return list
}

// Total adds up the samples of a metric whose label has this value.
func Total(page, name, label, value string) float64 {
	var sum float64
	for _, s := range Samples(page, name) {
		if s.Labels[label] == value {
			sum += s.Value
		}
	}
	return sum
}

// Fetch reads a page of metrics.
func Fetch(ctx context.Context, url string) (string, error) {
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
