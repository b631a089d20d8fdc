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
		{"10 s: half its life before", 10 * time.Second, oauth.Schedule{}, 5 * time.Second, 5 * time.Second},
		{"9 s: not kept up with, every 30 s", 9 * time.Second, oauth.Schedule{}, 30 * time.Second, 30 * time.Second},
		{"1 s: every 30 s", time.Second, oauth.Schedule{}, 30 * time.Second, 30 * time.Second},
		{"nothing at all: every 30 s", 0, oauth.Schedule{}, 30 * time.Second, 30 * time.Second},
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

func TestARefreshTokenIsKeptAlive(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name        string
		life, ends  time.Duration // zero: not known
		schedule    oauth.Schedule
		first, last time.Duration
	}{
		{"no expiry, idle after 30 days", 0, 0, oauth.Schedule{IdleTimeout: 30 * day}, 30 * day * 675 / 1000, 30 * day * 3 / 4},
		{"an hour, idle after 30 days", time.Hour, 0, oauth.Schedule{IdleTimeout: 30 * day}, 48*time.Minute - 72*time.Second, 48 * time.Minute},
		{"60 days, idle after 30", 60 * day, 0, oauth.Schedule{IdleTimeout: 30 * day}, 30 * day * 675 / 1000, 30 * day * 3 / 4},
		{"an hour, its refresh token half of it", time.Hour, 30 * time.Minute, oauth.Schedule{}, 1215 * time.Second, 1350 * time.Second},
		{"no expiry, its refresh token a day", 0, day, oauth.Schedule{IdleTimeout: 30 * day}, day * 675 / 1000, day * 3 / 4},
		{"a refresh token that has all but ended", time.Hour, time.Second, oauth.Schedule{}, 48*time.Minute - 72*time.Second, 48 * time.Minute},
		{"refused before 30 s are left", time.Hour, 0, oauth.Schedule{IdleTimeout: 10 * time.Minute, Earliest: 30 * time.Second}, time.Hour - 30*time.Second, time.Hour - 30*time.Second},
		{"idle after a second", 0, 0, oauth.Schedule{IdleTimeout: time.Second}, 5 * time.Second, 5 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token := &oauth.Token{Obtained: now()}
			if test.life > 0 {
				token.Expiry = now().Add(test.life)
			}
			if test.ends > 0 {
				token.RefreshTokenExpiry = now().Add(test.ends)
			}
			for seed := range 200 {
				test.schedule.Seed = fmt.Sprint(seed)
				if due := oauth.DueAt(token, test.schedule).Sub(now()); due < test.first || due > test.last {
					t.Fatalf("due after %v, want %v to %v", due, test.first, test.last)
				}
			}
		})
	}
}

func TestTheEndOfAGrantIsTold(t *testing.T) {
	hour := func(n int) time.Time { return now().Add(time.Duration(n) * time.Hour) }
	never := time.Time{}
	tests := map[string]struct {
		refreshToken, authorized, due time.Time
		rotation                      oauth.Rotation
		absolute                      time.Duration
		want                          time.Time
	}{
		"nothing is known":                      {never, now(), hour(1), oauth.Static, 0, never},
		"the refresh token ends":                {hour(9), now(), hour(1), oauth.Static, 0, hour(9)},
		"so long after consent":                 {never, now(), hour(1), oauth.Rotating, 5 * time.Hour, hour(5)},
		"the earlier of both":                   {hour(9), now(), hour(1), oauth.Unknown, 5 * time.Hour, hour(5)},
		"the earlier of both, the other":        {hour(3), now(), hour(1), oauth.Unknown, 5 * time.Hour, hour(3)},
		"consent at an unknown time":            {hour(9), never, hour(1), oauth.Static, 5 * time.Hour, hour(9)},
		"replaced before it ends":               {hour(9), now(), hour(1), oauth.Rotating, 0, never},
		"replaced before it ends, but absolute": {hour(3), now(), hour(1), oauth.Rotating, 5 * time.Hour, hour(5)},
		"it ends before it is replaced":         {hour(1), now(), hour(3), oauth.Rotating, 0, hour(1)},
		"it is never replaced":                  {hour(9), now(), never, oauth.Rotating, 0, hour(9)},
		"whether it is replaced is not known":   {hour(9), now(), hour(1), oauth.Unknown, 0, hour(9)},
	}
	for name, test := range tests {
		c := &oauth.Client{Rotation: test.rotation, AbsoluteLifetime: test.absolute}
		token := &oauth.Token{Obtained: now(), RefreshTokenExpiry: test.refreshToken}
		if _, got := c.GrantEnds(token, test.authorized, test.due); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestARefreshTokenWhoseEndMovesOnIsNoEndOfTheGrant(t *testing.T) {
	c := server(t, answer(200, jsonType, `{"access_token":"new","refresh_token":"next","refresh_expires_in":1800}`))
	consent, whole := now().Add(-1000*time.Hour), now().Add(30*time.Minute)
	for name, test := range map[string]struct {
		spent time.Time // when the token that was spent would have ended
		moves bool
	}{
		"as time does":     {whole.Add(-2 * time.Minute), true},
		"long after":       {now().Add(-time.Hour), true},
		"hardly":           {whole.Add(-time.Second), false},
		"not at all":       {whole, false},
		"nearer":           {whole.Add(time.Hour), false},
		"it was not known": {time.Time{}, false},
	} {
		before := held()
		before.Obtained, before.RefreshTokenExpiry = now().Add(-2*time.Minute), test.spent
		token, err := c.Refresh(t.Context(), before)
		if err != nil {
			t.Fatal(err)
		}
		if _, ends := c.GrantEnds(token, consent, now().Add(time.Minute)); ends.IsZero() != test.moves {
			t.Errorf("%s: the grant ends at %v", name, ends)
		}
		began, ends := c.GrantEnds(token, consent, time.Time{})
		if !ends.Equal(whole) || began.Equal(now()) != test.moves || began.Equal(consent) == test.moves {
			t.Errorf("%s: what cannot be renewed began at %v and ends at %v", name, began, ends)
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
