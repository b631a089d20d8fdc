// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"
)

const (
	// settlersOfOne bounds the attempts of one namespace that are worked on at the same time: a provider
	// that hangs holds each for half a minute, and others wait ten seconds for the operator's first word.
	settlersOfOne = 2
	// turnWait is when an attempt whose namespace has its share is looked at again.
	turnWait = time.Second
)

// turns shares the settlers out among namespaces.
type turns struct {
	mu    sync.Mutex
	taken map[string]int
}

// take takes a turn of a namespace, which has to be given back, or returns false.
func (t *turns) take(namespace string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken[namespace] >= settlersOfOne {
		return false
	}
	if t.taken == nil {
		t.taken = map[string]int{}
	}
	t.taken[namespace]++
	return true
}

func (t *turns) give(namespace string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken[namespace]--; t.taken[namespace] == 0 {
		delete(t.taken, namespace)
	}
}
