// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"testing"
	"testing/quick"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func lasting(life time.Duration) *oauth.Token {
	return &oauth.Token{Obtained: now(), Expiry: now().Add(life)}
}

func TestTokensAreDueAsTheDesignSays(t *testing.T) {
	tests := []struct {
		name        string
		life        time.Duration
		schedule    oauth.Schedule
		first, last time.Duration // of life, from Obtained
	}{
		{"a day: 20 % before", 24 * time.Hour, oauth.Schedule{}, 86400*8/10*time.Second - 1728*time.Second, 86400 * 8 / 10 * time.Second},
		{"an hour: 12 min before", time.Hour, oauth.Schedule{}, 48*time.Minute - 72*time.Second, 48 * time.Minute},
		{"15 min: 5 min before", 15 * time.Minute, oauth.Schedule{}, 570 * time.Second, 10 * time.Minute},
		{"5 min: half its life before", 5 * time.Minute, oauth.Schedule{}, 135 * time.Second, 150 * time.Second},
		{"30 s: half its life before", 30 * time.Second, oauth.Schedule{}, 13500 * time.Millisecond, 15 * time.Second},
		{"1 s: not before 5 s", time.Second, oauth.Schedule{}, 5 * time.Second, 5 * time.Second},
		{"before", time.Hour, oauth.Schedule{Before: 10 * time.Minute}, 49 * time.Minute, 50 * time.Minute},
		{"before, at most half its life", time.Hour, oauth.Schedule{Before: 10 * time.Hour}, 27 * time.Minute, 30 * time.Minute},
		{"earliest", 10 * time.Minute, oauth.Schedule{Earliest: 30 * time.Second}, 570 * time.Second, 570 * time.Second},
		{"earliest beats before", 10 * time.Minute, oauth.Schedule{Before: time.Minute, Earliest: 30 * time.Second}, 570 * time.Second, 570 * time.Second},
		{"earliest that does not matter", time.Hour, oauth.Schedule{Earliest: time.Hour}, 48*time.Minute - 72*time.Second, 48 * time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for seed := range 200 {
				test.schedule.Seed = fmt.Sprint(seed)
				due := oauth.DueAt(lasting(test.life), test.schedule).Sub(now())
				if due < test.first || due > test.last {
					t.Fatalf("due after %v, want %v to %v", due, test.first, test.last)
				}
			}
		})
	}
}

func TestATokenThatNeverExpiresIsNeverDue(t *testing.T) {
	for _, token := range []*oauth.Token{nil, {}, {Obtained: now()}} {
		if due := oauth.DueAt(token, oauth.Schedule{Before: time.Hour}); !due.IsZero() {
			t.Errorf("due at %v", due)
		}
	}
}

func TestATokenOfUnknownAgeIsDueAtOnce(t *testing.T) {
	if due := oauth.DueAt(&oauth.Token{Expiry: now().Add(time.Hour)}, oauth.Schedule{}); due.After(now()) {
		t.Errorf("due at %v", due)
	}
}

func TestJitterIsFixedByTheSeedAndSpread(t *testing.T) {
	seen := map[time.Time]bool{}
	for seed := range 100 {
		s := oauth.Schedule{Seed: fmt.Sprintf("%08d-uid", seed)}
		due := oauth.DueAt(lasting(time.Hour), s)
		if !due.Equal(oauth.DueAt(lasting(time.Hour), s)) {
			t.Fatal("the jitter changes")
		}
		seen[due.Truncate(time.Second)] = true
	}
	if len(seen) < 40 {
		t.Errorf("100 objects are due at %d moments only", len(seen))
	}
}

func TestDueNeverLeavesItsBounds(t *testing.T) {
	property := func(life, longer, before, earliest uint32, seed string) bool {
		lifetime := time.Duration(life)*time.Millisecond + 10*time.Second
		s := oauth.Schedule{Before: time.Duration(before) * time.Millisecond, Seed: seed}
		token := lasting(lifetime)
		due := oauth.DueAt(token, s)
		inside := !due.After(token.Expiry) && !due.Before(now().Add(lifetime*44/100))
		// A longer life is never due sooner.
		later := !oauth.DueAt(lasting(lifetime+time.Duration(longer)*time.Millisecond), s).Before(due)
		// A larger Before is never due later.
		wider := s
		wider.Before += time.Duration(longer) * time.Millisecond
		sooner := s.Before == 0 || !oauth.DueAt(token, wider).After(due)
		// Earliest holds whatever else is asked.
		s.Earliest = time.Duration(earliest)*time.Millisecond + 1
		held := !oauth.DueAt(token, s).Before(token.Expiry.Add(-s.Earliest))
		return inside && later && sooner && held
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

func TestBackoffDoublesToFiveMinutes(t *testing.T) {
	for _, seed := range []string{"", "a", "b", "c", "5a8d7c3e"} {
		if oauth.Backoff(0, seed) != 0 || oauth.Backoff(-1, seed) != 0 {
			t.Error("there is a wait without a failure")
		}
		last := time.Duration(0)
		for failures := 1; failures < 100; failures++ {
			base := min(5*time.Second<<min(failures-1, 10), 5*time.Minute)
			wait := oauth.Backoff(failures, seed)
			if wait < base*9/10 || wait > base*11/10 || wait < last || wait != oauth.Backoff(failures, seed) {
				t.Fatalf("failure %d: %v after %v", failures, wait, last)
			}
			last = wait
		}
	}
}
