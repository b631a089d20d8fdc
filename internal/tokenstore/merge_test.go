// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import "testing"

func TestWhoStaysWhenTwoRecordsMeet(t *testing.T) {
	attempt := func(r *Record, id string) *Record {
		r.Intent = &Intent{Attempt: id}
		r.origin.intent = r.Intent
		return r
	}
	failed := func(r *Record) *Record {
		r.Failure = &Failure{Count: 1}
		return r
	}
	seeded := func(seed string, minute int) *Record { return &Record{Seed: seed, Token: token(minute)} }
	for _, c := range []struct {
		name         string
		ours, theirs *Record
		consent      bool
		want         verdict
	}{
		{"our attempt is still there", attempt(refreshed(consented("a", 0), 5), "1"), attempt(consented("a", 0), "1"), false, oursWins},
		{"our attempt is still there, ours has the same token and is over", attempt(failed(consented("a", 0)), "1"), attempt(consented("a", 0), "1"), false, oursWins},
		{"another attempt took over, it has no token yet", attempt(refreshed(consented("a", 0), 5), "1"), attempt(consented("a", 0), "2"), false, oursWins},
		{"another attempt got a later token", attempt(refreshed(consented("a", 0), 5), "1"), refreshed(consented("a", 0), 6), false, theirsStay},
		{"another attempt got an earlier token", attempt(refreshed(consented("a", 0), 5), "1"), refreshed(consented("a", 0), 4), false, oursWins},
		{"a failure was stored on the same token", attempt(consented("a", 0), "1"), failed(consented("a", 0)), false, theirsStay},
		{"ours was written, the answer was lost", attempt(refreshed(consented("a", 0), 5), "1"), refreshed(consented("a", 0), 5), false, alreadyStored},
		{"ours was written and the next attempt began", attempt(refreshed(consented("a", 0), 5), "1"), attempt(refreshed(consented("a", 0), 5), "2"), false, alreadyStored},
		{"a newer consent", attempt(refreshed(consented("a", 0), 5), "1"), consented("b", 3), false, theirsStay},
		{"a newer consent, by a clock that is late", attempt(refreshed(consented("a", 10), 15), "1"), consented("b", 3), false, theirsStay},
		{"a newer consent that was refreshed since", attempt(refreshed(consented("a", 0), 5), "1"), refreshed(consented("b", 3), 4), false, theirsStay},
		{"ours is a consent", consented("b", 3), refreshed(consented("a", 0), 5), true, oursWins},
		{"ours is a consent, an attempt is under way", consented("b", 3), attempt(consented("a", 0), "1"), true, oursWins},
		{"ours is a consent over a grant without one", consented("b", 3), &Record{Token: token(9)}, true, oursWins},
		{"ours is a consent of the same moment", consented("b", 3), consented("a", 3), true, oursWins},
		{"ours is a consent and comes late", consented("b", 3), consented("c", 7), true, theirsStay},
		{"ours is a consent that is stored", consented("b", 3), consented("b", 3), true, alreadyStored},
		{"ours is a consent that is stored and in use", consented("b", 3), attempt(consented("b", 3), "2"), true, alreadyStored},
		{"ours is a consent that was stored and refreshed", consented("b", 3), refreshed(consented("b", 3), 7), true, theirsStay},
		{"another seed was planted meanwhile", attempt(seeded("one", 5), "1"), attempt(&Record{Seed: "two"}, "2"), false, theirsStay},
		{"the same seed", attempt(seeded("one", 5), "1"), attempt(&Record{Seed: "one"}, "2"), false, oursWins},
		{"client credentials, two at once", attempt(&Record{Token: token(5)}, "1"), &Record{Token: token(6)}, false, theirsStay},
	} {
		if got := merge(c.ours, c.theirs, c.consent); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
