// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// forgetFor is how long a deletion is remembered: longer than any attempt that began before it lasts.
const forgetFor = 10 * time.Minute

// unsaved is a record on its way to the API server.
type unsaved struct {
	key     Key
	record  *Record
	consent bool
	// file is its name in the journal, empty where it is not there.
	file string
	// unreadable is since when the stored record was seen that does not open; zero while it was not.
	unreadable time.Time
	stop       context.CancelFunc
}

// keeper knows what this process must not end without: attempts and writes under way, and records that
// could not be saved. The zero keeper is empty.
type keeper struct {
	mu       sync.Mutex
	attempts map[types.UID]bool
	writes   int
	unsaved  map[types.UID]*unsaved
	deleted  map[types.UID]time.Time
	// harmless are attempts that spent nothing, although the record may still announce them.
	harmless map[types.UID]string
	// idle is closed when nothing is left; nil while nobody waits.
	idle chan struct{}
}

// change runs f under the lock and wakes who waits for idleness.
func (k *keeper) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.attempts == nil {
		k.attempts, k.unsaved, k.deleted = map[types.UID]bool{}, map[types.UID]*unsaved{}, map[types.UID]time.Time{}
		k.harmless = map[types.UID]string{}
	}
	f()
	if k.idle != nil && !k.busy() {
		close(k.idle)
		k.idle = nil
	}
}

func (k *keeper) busy() bool { return k.writes > 0 || len(k.attempts) > 0 || len(k.unsaved) > 0 }

// wait returns what is closed once nothing is left, nil where that is so already.
func (k *keeper) wait() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy() && k.idle == nil {
		k.idle = make(chan struct{})
	}
	return k.idle
}

// begin and end frame an attempt, from the intent to the end of its last write.
func (k *keeper) begin(uid types.UID) { k.change(func() { k.attempts[uid] = true }) }
func (k *keeper) end(uid types.UID)   { k.change(func() { delete(k.attempts, uid) }) }

// noteHarmless remembers an attempt that spent nothing, until dropHarmless: its record does not announce it any more.
func (k *keeper) noteHarmless(uid types.UID, attempt string) {
	k.change(func() { k.harmless[uid] = attempt })
}
func (k *keeper) dropHarmless(uid types.UID) { k.change(func() { delete(k.harmless, uid) }) }

func (k *keeper) isHarmless(uid types.UID, attempt string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.harmless[uid]
	return ok && known == attempt
}

// enter and leave frame a write, or what leads to one, that must not be cut off.
func (k *keeper) enter() { k.change(func() { k.writes++ }) }
func (k *keeper) leave() { k.change(func() { k.writes-- }) }

// put keeps an unsaved record and returns the one that is kept: a consent stays against the outcome of
// an attempt, which began before it; of two consents the one handed over last stays.
func (k *keeper) put(u *unsaved) *unsaved {
	kept := u
	k.change(func() {
		held := k.unsaved[u.key.UID]
		if held != nil && held.consent && !u.consent {
			kept = held
			return
		}
		if held != nil {
			held.stop()
		}
		k.unsaved[u.key.UID] = u
	})
	return kept
}

// release ends the keeping of u, unless another one has taken its place.
func (k *keeper) release(u *unsaved) {
	k.change(func() {
		u.stop()
		if k.unsaved[u.key.UID] == u {
			delete(k.unsaved, u.key.UID)
		}
	})
}

// drop ends the keeping of a connection's record.
func (k *keeper) drop(uid types.UID) {
	k.change(func() { k.dropLocked(uid) })
}

func (k *keeper) dropLocked(uid types.UID) {
	if held := k.unsaved[uid]; held != nil {
		held.stop()
		delete(k.unsaved, uid)
	}
}

// forget remembers a deletion.
func (k *keeper) forget(uid types.UID, now time.Time) {
	k.change(func() {
		k.dropLocked(uid)
		delete(k.attempts, uid)
		delete(k.harmless, uid)
		maps.DeleteFunc(k.deleted, func(_ types.UID, at time.Time) bool { return now.Sub(at) > forgetFor })
		k.deleted[uid] = now
	})
}

// revive lifts a deletion: somebody started anew.
func (k *keeper) revive(uid types.UID) { k.change(func() { delete(k.deleted, uid) }) }

// forgotten says whether a deletion holds.
func (k *keeper) forgotten(uid types.UID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.deleted[uid]
	return ok
}

// held returns a copy of the unsaved record, nil where there is none.
func (k *keeper) held(uid types.UID) *Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	if u := k.unsaved[uid]; u != nil {
		return u.record.clone()
	}
	return nil
}

func (k *keeper) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.unsaved)
}
