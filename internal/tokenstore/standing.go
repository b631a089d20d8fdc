// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// stand is how long this process has to have seen the attempt of another holder before it takes it over,
// be its deadline over as it may. After an outage of the API server the holder may be there still, or be
// started again, and hold what the provider has answered: its keeper saves within that time.
const stand = 20 * time.Second

// standing knows since when attempts of other holders are seen. The zero value knows none.
type standing struct {
	mu   sync.Mutex
	seen map[types.UID]sight
}

// FencedUntil is when the attempt of another process, which a record that was read shows, may be taken
// over; zero where none is in the way. What that process did with the refresh token is not known before.
func (s *Store) FencedUntil(key Key, r *Record) time.Time {
	found := r.origin.intent
	if found == nil || found.Holder == s.Holder || s.outlived(found) {
		return time.Time{}
	}
	return s.standing.until(key.UID, found, s.Clock.Now())
}

// outlived says that an intent is of a former process that held our journal, and so of one that ended.
func (s *Store) outlived(i *Intent) bool {
	mine, _, journalled := strings.Cut(s.Holder, "/")
	theirs, _, _ := strings.Cut(i.Holder, "/")
	return journalled && mine == theirs
}

type sight struct {
	attempt string
	since   time.Time
}

// note takes in what a record that was just read says: another holder's intent, or nil.
func (s *standing) note(uid types.UID, foreign *Intent, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case foreign == nil:
		delete(s.seen, uid)
		return
	case s.seen == nil:
		s.seen = map[types.UID]sight{}
	}
	if seen := s.seen[uid]; seen.attempt != foreign.Attempt || now.Before(seen.since) { // the clock was set back
		s.seen[uid] = sight{foreign.Attempt, now}
	}
}

// until is from when on an intent may be taken over. Its deadline counts for no longer than an attempt lasts:
// a clock that leapt may have made it.
func (s *standing) until(uid types.UID, i *Intent, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := now
	if seen := s.seen[uid]; seen.attempt == i.Attempt {
		since = seen.since
	}
	over, longest := since.Add(stand), since.Add(IntentLifetime)
	switch {
	case longest.Before(i.Deadline):
		return longest
	case over.Before(i.Deadline):
		return i.Deadline
	}
	return over
}
