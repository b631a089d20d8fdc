// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pace says who may go now, and wakes those who may not once they may. It holds state in memory
// only: what it forgets with its process is learnt again from the next answers.
//
//	             Turns, by namespace          Lanes, one per client of a token endpoint
//	             ┌───────────────────┐        ┌──────────────────────────────────────┐
//	work queue ─►│ is a worker free  │─ yes ─►│ told to wait? down? too fast? enough │─ may go ─► token request
//	     ▲       │ for it?           │  pass  │ under way?                           │                 │
//	     │       └─────────┬─────────┘        └──────────────────┬───────────────────┘                 │
//	     │                 │ no                                  │ must wait                           │
//	     │                 ▼                                     ▼                                     ▼
//	     │          parked in the line of its namespace, the most urgent first ◄────── outcome, place given
//	     │                                    │                                        back, timer
//	     └────────── woken ◄── a place is kept for it
//
// Both divide places by the same rule (share): a namespace may take one while it holds fewer than are
// free. So one busy namespace gets half of them, k busy ones 1/(k+1) each, and a newcomer finds room. Of
// those that wait, the namespace that was called least goes next, with its most urgent connection.
//
// Nobody who waits can be forgotten: every change that may let somebody go (a place given back, an
// outcome, a timer at the moment a lane opens) ends by calling all who may. Who is called has a place
// kept until it comes for it, is found to need none, or is gone. A caller therefore owes three things:
// a key that is woken is looked at, what was taken is given back, and a key that vanished is forgotten.
package pace

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Key names a connection.
type Key = types.NamespacedName

// waiter is a connection that waits for a place, or that one is kept for.
type waiter struct {
	key Key
	// urgent orders those of a namespace, the soonest first; serial those that are equally urgent.
	urgent time.Time
	serial uint64
	// index is the place in line, or called.
	index int
	// lane is nil with Turns. asked says that the lane was asked during the pass under way; probe is what
	// the breaker wants to be told of the place that is kept.
	lane  *lane
	asked bool
	probe *probe
}

// called is the index of a waiter that a place is kept for.
const called = -1

// line is a heap of those of one namespace that wait.
type line []*waiter

func (l line) Len() int { return len(l) }

func (l line) Less(i, j int) bool {
	if !l[i].urgent.Equal(l[j].urgent) {
		return l[i].urgent.Before(l[j].urgent)
	}
	return l[i].serial < l[j].serial
}

func (l line) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

// Push implements heap.Interface.
func (l *line) Push(w any) {
	w.(*waiter).index = len(*l)
	*l = append(*l, w.(*waiter))
}

// Pop implements heap.Interface.
func (l *line) Pop() any {
	last := len(*l) - 1
	w := (*l)[last]
	(*l)[last] = nil
	*l, w.index = (*l)[:last], called
	return w
}
