// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"net/http"
	"slices"
	"sync"
)

// Fault answers a request in place of the provider; next is the provider's own answer.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Fault queues f for the next n requests of an endpoint; n < 0: for all that follow.
func (p *Provider) Fault(e Endpoint, n int, f Fault) { p.FaultWhen(e, nil, n, f) }

// FaultWhen is Fault for the requests that match accepts; others pass by and leave the queue as it is.
// Match sees the request with its form parsed.
func (p *Provider) FaultWhen(e Endpoint, match func(*http.Request) bool, n int, f Fault) {
	p.faults.add(e, &queued{match: match, left: n, fault: f})
}

// ClearFaults empties all queues; requests that hang keep hanging until their fault ends.
func (p *Provider) ClearFaults() { p.faults.clear() }

// Grant matches token requests of a grant type, for FaultWhen.
func Grant(grantType string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Form.Get("grant_type") == grantType }
}

type queued struct {
	match func(*http.Request) bool
	left  int // negative: without end
	fault Fault
}

type faultQueues struct {
	mu     sync.Mutex
	queues map[Endpoint][]*queued
}

func (q *faultQueues) add(e Endpoint, fault *queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queues == nil {
		q.queues = map[Endpoint][]*queued{}
	}
	q.queues[e] = append(q.queues[e], fault)
}

func (q *faultQueues) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues = nil
}

// take returns the first fault in the queue that is for this request, or nil.
func (q *faultQueues) take(e Endpoint, r *http.Request) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, candidate := range q.queues[e] {
		if candidate.left == 0 || candidate.match != nil && !candidate.match(r) {
			continue
		}
		if candidate.left--; candidate.left == 0 {
			q.queues[e] = slices.Delete(q.queues[e], i, i+1)
		}
		return candidate.fault
	}
	return nil
}
