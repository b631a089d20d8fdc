// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"container/heap"
	"time"
)

// share divides places among namespaces and keeps those who wait in line. It is not safe for concurrent
// use.
type share struct {
	places  int
	members map[string]*member
	// taken counts places, kept ones too.
	taken   int
	waiting int
	// floor is how often the namespace that was called last had been called before; serial counts waiters.
	floor, serial uint64
}

// member is a namespace that holds places or waits for some.
type member struct {
	taken int
	calls uint64
	line  line
}

// park puts w in line, or moves it to where its urgency belongs now.
func (s *share) park(w *waiter, urgent time.Time) {
	m := s.member(w.key.Namespace)
	w.urgent = urgent
	if w.serial != 0 {
		heap.Fix(&m.line, w.index)
		return
	}
	if len(m.line) == 0 {
		m.calls = max(m.calls, s.floor) // having been away earns no arrears
	}
	s.serial++
	w.serial = s.serial
	heap.Push(&m.line, w)
	s.waiting++
}

func (s *share) member(namespace string) *member {
	m := s.members[namespace]
	if m == nil {
		if s.members == nil {
			s.members = map[string]*member{}
		}
		m = &member{}
		s.members[namespace] = m
	}
	return m
}

// call takes the next one out of its line and keeps a place for it; nil where nobody may go. Namespaces
// that open does not let pass are left out.
func (s *share) call(open func(namespace string) bool) *waiter {
	free := s.places - s.taken
	if free == 0 || s.waiting == 0 {
		return nil
	}
	var next *member
	for namespace, m := range s.members {
		if len(m.line) > 0 && m.taken < free && m.before(next) && open(namespace) {
			next = m
		}
	}
	if next == nil {
		return nil
	}
	s.floor = next.calls
	next.calls++
	next.taken++
	s.taken++
	s.waiting--
	return heap.Pop(&next.line).(*waiter)
}

// before orders namespaces: called less, then with the more urgent connection.
func (m *member) before(other *member) bool {
	switch {
	case other == nil:
		return true
	case m.calls != other.calls:
		return m.calls < other.calls
	}
	return line{m.line[0], other.line[0]}.Less(0, 1)
}

// give frees a place of a namespace.
func (s *share) give(namespace string) {
	m := s.members[namespace]
	m.taken--
	s.taken--
	s.tidy(namespace, m)
}

// drop takes w out of its line, or frees the place that was kept for it, and says which.
func (s *share) drop(w *waiter) (freed bool) {
	if w.index == called {
		s.give(w.key.Namespace)
		return true
	}
	m := s.members[w.key.Namespace]
	heap.Remove(&m.line, w.index)
	s.waiting--
	s.tidy(w.key.Namespace, m)
	return false
}

func (s *share) tidy(namespace string, m *member) {
	if m.taken == 0 && len(m.line) == 0 {
		delete(s.members, namespace)
	}
}
