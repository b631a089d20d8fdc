// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// woken collects keys in the order in which they are woken.
type woken struct{ keys []Key }

func (w *woken) wake(key Key) { w.keys = append(w.keys, key) }

func (w *woken) take() []Key {
	keys := w.keys
	w.keys = nil
	return keys
}

func key(namespace string, i int) Key { return Key{Namespace: namespace, Name: fmt.Sprint(i)} }

// takeAll takes turns for n keys of a namespace and says how many got one.
func takeAll(t *Turns, namespace string, n int) (got int) {
	for i := range n {
		if t.Take(key(namespace, i), noon) {
			got++
		}
	}
	return got
}

func TestABusyNamespaceGetsHalfAndEveryNewcomerFindsRoom(t *testing.T) {
	turns := NewTurns(64, (&woken{}).wake)
	for i, want := range []int{32, 16, 8, 4, 2, 1, 1} {
		if got := takeAll(turns, fmt.Sprint("team-", i), 100); got != want {
			t.Errorf("namespace %d got %d turns, want %d", i, got, want)
		}
	}
	if waiting := turns.Waiting(); waiting != 7*100-64 {
		t.Errorf("%d wait", waiting)
	}
}

func TestAllBusyNamespacesGetTheSameInTheEnd(t *testing.T) {
	w := &woken{}
	turns := NewTurns(64, w.wake)
	var busy []Key
	for i := range 3 {
		for j := range 200 {
			if k := key(fmt.Sprint("team-", i), j); turns.Take(k, noon) {
				busy = append(busy, k)
			}
		}
	}
	for range 300 { // the one that is busy longest is done
		turns.Give(busy[0])
		busy = busy[1:]
		for _, k := range w.take() {
			if !turns.Take(k, noon) {
				t.Fatalf("%s was woken for nothing", k)
			}
			busy = append(busy, k)
		}
	}
	held := map[string]int{}
	for _, k := range busy {
		held[k.Namespace]++
	}
	for namespace, n := range held {
		if n < 15 || n > 17 {
			t.Errorf("%s holds %d turns, want a quarter of 64", namespace, n)
		}
	}
}

func TestOfANamespaceTheMostUrgentGoesFirst(t *testing.T) {
	w := &woken{}
	turns := NewTurns(2, w.wake)
	turns.Take(key("team-a", 0), noon)
	for i, urgent := range []time.Time{noon.Add(3 * time.Hour), noon.Add(time.Hour), noon.Add(2 * time.Hour), {}} {
		turns.Take(key("team-a", i+1), urgent)
	}
	turns.Take(key("team-a", 3), noon.Add(-time.Hour)) // looked at again meanwhile: more urgent than before
	var order []string
	for done := key("team-a", 0); ; {
		turns.Give(done)
		keys := w.take()
		if len(keys) == 0 {
			break
		}
		done = keys[0]
		order = append(order, done.Name)
		turns.Take(done, noon)
	}
	if want := []string{"4", "3", "2", "1"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
}

func TestATurnIsKeptForWhoWasWoken(t *testing.T) {
	w := &woken{}
	turns := NewTurns(2, w.wake)
	turns.Take(key("team-a", 0), noon)
	turns.Take(key("team-a", 1), noon)
	turns.Give(key("team-a", 0))
	if turns.Take(key("team-a", 2), time.Time{}) {
		t.Error("somebody else got it")
	}
	if !turns.Take(key("team-a", 1), noon) {
		t.Error("it is gone")
	}
}

func TestTheTurnOfAKeyThatVanishedGoesToTheNext(t *testing.T) {
	w := &woken{}
	turns := NewTurns(2, w.wake)
	for i := range 4 {
		turns.Take(key("team-a", i), noon)
	}
	turns.Forget(key("team-a", 2))
	turns.Give(key("team-a", 0))
	turns.Forget(key("team-a", 1)) // it has a turn kept
	if got, want := w.take(), []Key{key("team-a", 1), key("team-a", 3)}; !slices.Equal(got, want) {
		t.Errorf("woken are %v, want %v", got, want)
	}
	turns.Forget(key("team-a", 3))
	if turns.Waiting() != 0 || turns.share.taken != 0 || len(turns.share.members) != 0 || len(turns.waiters) != 0 {
		t.Errorf("something is left: %+v", turns.share)
	}
}
