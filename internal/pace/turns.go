// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync"
	"time"
)

// Turns shares workers among namespaces, so that connections which wait for a provider that hangs do not
// keep other namespaces waiting. It is safe for concurrent use.
type Turns struct {
	wake func(Key)

	mu      sync.Mutex
	share   share
	waiters map[Key]*waiter
}

// NewTurns shares so many workers. wake has a key looked at soon by whoever calls Take; it must not call
// back.
func NewTurns(workers int, wake func(Key)) *Turns {
	return &Turns{wake: wake, share: share{places: workers}, waiters: map[Key]*waiter{}}
}

// Take takes a turn, which has to be given back, or returns false: key is parked then and woken when it
// is its turn. Of the keys of a namespace the one that is urgent soonest goes first. A key holds one
// turn at most.
func (t *Turns) Take(key Key, urgent time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.waiters[key]
	if w == nil {
		w = &waiter{key: key}
		t.waiters[key] = w
	}
	if w.index != called {
		t.share.park(w, urgent)
		t.call(key)
	}
	if w.index != called {
		return false
	}
	delete(t.waiters, key)
	return true
}

// Give gives the turn of a key back.
func (t *Turns) Give(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.share.give(key.Namespace)
	t.call(Key{})
}

// Forget is for a key that vanished: it waits no longer, and the turn kept for it is somebody else's.
func (t *Turns) Forget(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.waiters[key]; w != nil {
		delete(t.waiters, key)
		t.share.drop(w)
		t.call(Key{})
	}
}

// Waiting is how many keys are parked.
func (t *Turns) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.share.waiting
}

// call keeps a turn for everybody who may go, and wakes all but the one who is asking.
func (t *Turns) call(asking Key) {
	for w := t.share.call(anyone); w != nil; w = t.share.call(anyone) {
		if w.key != asking {
			t.wake(w.key)
		}
	}
}

func anyone(string) bool { return true }
