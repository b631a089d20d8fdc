// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestNobodyElseBeginsUntilTheDeadline(t *testing.T) {
	c, a, b, key := pair(t)
	first := must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))
	if want := token(0).RefreshToken.Hash(); first.Intent.RefreshTokenHash != want || first.Intent.Holder != "a" {
		t.Errorf("got intent %+v", first.Intent)
	}

	seen := must(t)(b.Get(t.Context(), key))
	c.clock.SetTime(noon.Add(IntentLifetime - time.Nanosecond))
	if _, err := b.Begin(t.Context(), key, seen); !errors.Is(err, ErrInFlight) {
		t.Errorf("before the deadline: got %v, want ErrInFlight", err)
	}
	// What a caller does to the fields does not lift the fence.
	altered := *seen
	altered.Intent = &Intent{Holder: "b"}
	if _, err := b.Begin(t.Context(), key, &altered); !errors.Is(err, ErrInFlight) {
		t.Errorf("with an altered intent: got %v, want ErrInFlight", err)
	}

	c.clock.SetTime(noon.Add(IntentLifetime))
	second := must(t)(b.Begin(t.Context(), key, seen))
	if second.Interrupted == nil || second.Interrupted.Attempt != first.Intent.Attempt {
		t.Errorf("got interrupted %+v, want the first attempt", second.Interrupted)
	}
	if second.Intent.Attempt == first.Intent.Attempt || second.Intent.Holder != "b" {
		t.Errorf("got intent %+v", second.Intent)
	}
	if want := (Doubt{Since: noon, Cause: DoubtInterrupted}); second.Doubt == nil || *second.Doubt != want {
		t.Errorf("got doubt %+v, want %+v", second.Doubt, want)
	}
}

func TestAnAttemptIsAnnouncedToTheEndOrNotAtAll(t *testing.T) {
	c := newCluster(t)
	s, tap := c.replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	ctx, cancel := context.WithCancel(t.Context())
	tap.set(on("update", func() error { cancel(); return nil }), nil) // SIGTERM comes while it is written
	begun := must(t)(s.Begin(ctx, key, r))
	tap.set(nil, nil)
	if stored := must(t)(s.Get(t.Context(), key)); stored.Intent == nil || stored.Intent.Attempt != begun.Intent.Attempt {
		t.Errorf("what is stored is %+v", stored.Intent)
	}
	saved := must(t)(s.Save(ctx, key, refreshed(begun, 1)))
	if _, err := s.Begin(ctx, key, saved); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: got %v, want context.Canceled", err)
	}
	if stored := must(t)(s.Get(t.Context(), key)); stored.Intent != nil {
		t.Errorf("an attempt that was not begun left %+v", stored.Intent)
	}
}

func TestAnAttemptWhoseAnnouncementTookLongIsAnnouncedAgain(t *testing.T) {
	c := newCluster(t)
	a, tap := c.replica("a")
	key := newKey()
	r := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	tap.set(nil, on("update", once(func() error { c.clock.SetTime(noon.Add(fenceSlack + time.Second)); return nil })))
	begun := must(t)(a.Begin(t.Context(), key, r))
	if got, want := begun.Intent.Deadline, c.clock.Now().Add(IntentLifetime); !got.Equal(want) {
		t.Errorf("the fence stands until %s, want %s: the request begins now", got, want)
	}
	must(t)(a.Save(t.Context(), key, refreshed(begun, 1)))
	flush(t, a)

	ctx, cancel := context.WithCancel(t.Context())
	tap.set(nil, on("update", func() error { c.clock.SetTime(c.clock.Now().Add(time.Minute)); cancel(); return nil }))
	if _, err := a.Begin(ctx, key, must(t)(a.Get(t.Context(), key))); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: got %v, want context.Canceled", err)
	}
	flush(t, a)
}

func TestAnAttemptFromAClockThatLeaptIsNoFenceForLong(t *testing.T) {
	c, a, b, key := pair(t)
	c.clock.SetTime(noon.Add(24 * time.Hour))
	must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))
	must(t)(b.Get(t.Context(), key))

	c.clock.SetTime(noon) // it is set right
	seen := must(t)(b.Get(t.Context(), key))
	if got := b.FencedUntil(key, seen); !got.Equal(noon.Add(IntentLifetime)) {
		t.Errorf("it is fenced until %s", got)
	}
	c.clock.SetTime(noon.Add(IntentLifetime))
	must(t)(b.Begin(t.Context(), key, must(t)(b.Get(t.Context(), key))))
}

func TestOfAConnectionThatIsGoneNothingIsRemembered(t *testing.T) {
	_, a, b, key := pair(t)
	must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))
	must(t)(b.Get(t.Context(), key))
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if len(b.standing.seen) != 0 {
		t.Errorf("it remembers %v", b.standing.seen)
	}
}

func TestAnAttemptThatSentNothingLeavesTheRecordAsItWas(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	key := newKey()
	before := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	withdrawn := must(t)(a.Withdraw(t.Context(), key, must(t)(a.Begin(t.Context(), key, before))))
	for name, r := range map[string]*Record{"returned": withdrawn, "stored": must(t)(a.Get(t.Context(), key))} {
		if r.Intent != nil || r.Failure != nil || !sameContent(r, before) {
			t.Errorf("what is %s is %+v", name, r)
		}
	}
	flush(t, a)
}

func TestWhoeverEndedAnAttemptKnowsThatItSpentNothingAlsoWhereThatIsNotStored(t *testing.T) {
	c := newCluster(t)
	a, tap := c.replica("a")
	b, _ := c.replica("b")
	key := newKey()
	must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	for name, end := range map[string]func(*Record) (*Record, error){
		"withdrawn": func(r *Record) (*Record, error) { return a.Withdraw(t.Context(), key, r) },
		"refused":   func(r *Record) (*Record, error) { return a.Fail(t.Context(), key, r, Failure{Count: 1}) },
		"unanswered": func(r *Record) (*Record, error) {
			r.Doubt = &Doubt{Since: noon, Cause: DoubtUnanswered}
			return a.Fail(t.Context(), key, r, Failure{Count: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun := must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))
			if a.Harmless(key, begun) {
				t.Error("an attempt under way is called harmless")
			}
			if a.Harmless(key, &Record{origin: origin{intent: &Intent{}}}) {
				t.Error("an attempt without a name is called harmless")
			}
			tap.set(on("update", func() error { return errOutage }), nil)
			if _, err := end(begun); err == nil {
				t.Fatal("that it ended was stored")
			}
			tap.set(nil, nil)
			left := must(t)(a.Get(t.Context(), key))
			if harmless := a.Harmless(key, left); left.Intent == nil || harmless != (name != "unanswered") || b.Harmless(key, left) {
				t.Errorf("of what is left, %+v, it says harmless: %t; the other replica says %t", left.Intent, harmless, b.Harmless(key, left))
			}
			ended := must(t)(a.Withdraw(t.Context(), key, must(t)(a.Begin(t.Context(), key, left))))
			if a.Harmless(key, ended) || a.Harmless(key, left) {
				t.Error("what is not announced any more is remembered")
			}
		})
	}
	flush(t, a)
}

func TestAFailureIsStoredAlthoughTheRecordWasSealedAnewMeanwhile(t *testing.T) {
	c := newCluster(t)
	a, tap := c.replica("a")
	key := newKey()
	r := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	begun := must(t)(a.Begin(t.Context(), key, r))
	touch := func() {
		secret := secretOf(t, a, key)
		secret.Annotations["touched"] = "yes"
		if err := env.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	touch()
	if failed := must(t)(a.Fail(t.Context(), key, begun, Failure{Count: 1})); failed.Intent != nil {
		t.Errorf("the attempt stands: %+v", failed.Intent)
	}
	if got := must(t)(a.Get(t.Context(), key)); got.Failure == nil || got.Intent != nil {
		t.Errorf("stored are failure %+v, intent %+v", got.Failure, got.Intent)
	}

	again := must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))
	must(t)(a.Replace(t.Context(), key, consented("d", 1)))
	tap.spent()
	if _, err := a.Fail(t.Context(), key, again, Failure{Count: 2}); !errors.Is(err, ErrConflict) {
		t.Errorf("over a new consent: got %v, want ErrConflict", err)
	}
}

func TestAnExpiredAttemptThatNobodySawIsLeftToItsHolderForAWhile(t *testing.T) {
	c, a, b, key := pair(t)
	must(t)(a.Begin(t.Context(), key, must(t)(a.Get(t.Context(), key))))

	end := noon.Add(10 * time.Minute) // of an outage of the API server
	c.clock.SetTime(end)
	seen := must(t)(b.Get(t.Context(), key))
	if got := b.FencedUntil(key, seen); !got.Equal(end.Add(stand)) {
		t.Errorf("it is fenced until %s", got)
	}
	if _, err := b.Begin(t.Context(), key, seen); !errors.Is(err, ErrInFlight) {
		t.Errorf("at first sight: got %v, want ErrInFlight", err)
	}
	c.clock.SetTime(end.Add(stand))
	if got := must(t)(b.Begin(t.Context(), key, must(t)(b.Get(t.Context(), key)))); got.Interrupted == nil {
		t.Error("it was not taken over")
	}
	if got := must(t)(a.Get(t.Context(), key)); a.FencedUntil(key, got).IsZero() {
		t.Error("another attempt that is seen for the first time is no fence")
	}
}

func TestADoubtOutlivesTheNextCrashAndKeepsItsTime(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	key := newKey()
	must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	for i := range 3 {
		s, _ := c.replica(strconv.Itoa(i))
		r := must(t)(s.Get(t.Context(), key))
		c.clock.SetTime(c.clock.Now().Add(IntentLifetime))
		must(t)(s.Begin(t.Context(), key, r))
	}
	if got := must(t)(a.Get(t.Context(), key)); got.Doubt == nil || !got.Doubt.Since.Equal(noon.Add(IntentLifetime)) {
		t.Errorf("got doubt %+v, want the one of the first crash", got.Doubt)
	}
}

func TestAnAttemptWithoutARefreshTokenLeavesNoDoubt(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	b, _ := c.replica("b")
	key := newKey()
	must(t)(a.Begin(t.Context(), key, &Record{Grant: "ClientCredentials"}))
	seen := must(t)(b.Get(t.Context(), key))
	c.clock.SetTime(noon.Add(IntentLifetime))
	if got := must(t)(b.Begin(t.Context(), key, seen)); got.Interrupted == nil || got.Doubt != nil {
		t.Errorf("got interrupted %+v, doubt %+v", got.Interrupted, got.Doubt)
	}
}

func TestAProcessTakesOverItsOwnAttempt(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	must(t)(s.Begin(t.Context(), key, must(t)(s.Get(t.Context(), key))))
	again := must(t)(s.Begin(t.Context(), key, must(t)(s.Get(t.Context(), key))))
	if again.Interrupted != nil {
		t.Errorf("got interrupted %+v", again.Interrupted)
	}
}

func TestOfManyWhoBeginOneDoes(t *testing.T) {
	c := newCluster(t)
	first, _ := c.replica("0")
	key := newKey()
	must(t)(first.Replace(t.Context(), key, consented("c", 0)))
	seen := must(t)(first.Get(t.Context(), key))
	var begun atomic.Int32
	var replicas sync.WaitGroup
	for i := range 10 {
		s, _ := c.replica(strconv.Itoa(i))
		replicas.Go(func() {
			_, err := s.Begin(t.Context(), key, seen)
			switch {
			case err == nil:
				begun.Add(1)
			case !errors.Is(err, ErrConflict):
				t.Error(err)
			}
			if err != nil {
				flush(t, s)
			}
		})
	}
	replicas.Wait()
	if n := begun.Load(); n != 1 {
		t.Errorf("%d began, want 1", n)
	}
}

func TestAFailureKeepsTheTokenAndEndsTheFence(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	b, _ := c.replica("b")
	key := newKey()
	r := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(a.Begin(t.Context(), key, r))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	want := Failure{Count: 2, Kind: oauth.Throttled, Status: 429, At: noon, Since: noon, RetryAt: noon.Add(time.Minute)}
	must(t)(a.Fail(cancelled, key, r, want))

	got := must(t)(b.Get(t.Context(), key))
	if got.Failure == nil || *got.Failure != want || got.Intent != nil || !got.Token.RefreshToken.Equal(token(0).RefreshToken) {
		t.Errorf("got %+v", got)
	}
	must(t)(b.Begin(t.Context(), key, got))
	if _, err := a.Fail(t.Context(), key, r, want); !errors.Is(err, ErrConflict) {
		t.Errorf("a failure that comes late: got %v, want ErrConflict", err)
	}
}

func TestSaveDoesNotEndWithItsContext(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	must(t)(s.Save(cancelled, key, refreshed(r, 1)))
}

func TestANewerConsentStaysAgainstTheOutcomeOfAnAttempt(t *testing.T) {
	c := newCluster(t)
	leader, _ := c.replica("leader")
	other, _ := c.replica("other")
	key := newKey()
	r := must(t)(leader.Replace(t.Context(), key, consented("first", 5)))
	r = must(t)(leader.Begin(t.Context(), key, r))
	// The other replica consents with a clock that is late, over the attempt under way: by the times
	// in the records alone it would be the older one.
	if _, err := other.Replace(t.Context(), key, consented("second", 6)); err != nil {
		t.Fatal(err)
	}
	got, err := leader.Save(t.Context(), key, refreshed(r, 9))
	if !errors.Is(err, ErrConflict) || got.Authorization != "second" || leader.Pending(key.UID) {
		t.Errorf("got %+v, %v", got, err)
	}
	if stored := must(t)(other.Get(t.Context(), key)); stored.Authorization != "second" {
		t.Errorf("stored: %+v", stored)
	}
}

func TestASaveWritesOverWhatDidNotTouchTheAttempt(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	touched := secretOf(t, s, key)
	touched.Annotations["example.com/backup"] = "done"
	if err := env.Client.Update(t.Context(), touched); err != nil {
		t.Fatal(err)
	}
	tap.spent()
	must(t)(s.Save(t.Context(), key, refreshed(r, 1)))
	if n := tap.spent(); n["update"] != 2 || n["get"] != 1 {
		t.Errorf("got %v requests", n)
	}
	if got := must(t)(s.Get(t.Context(), key)); got.Refreshes != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestAGrantThatAnotherProcessGaveUpStaysGivenUp(t *testing.T) {
	c := newCluster(t)
	s, _ := c.replica("a")
	other, _ := c.replica("b")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	if err := other.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), key, refreshed(r, 1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("it was stored again: %v", err)
	}
	must(t)(s.Replace(t.Context(), key, consented("d", 1))) // a person wants it again
}

func TestARecordThatWasDeletedIsNotCreatedAgain(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	remove := func(key Key) func() error { return func() error { return s.Delete(t.Context(), key) } }
	for name, hooks := range map[string]func(Key) (before, after func(string) error){
		"before the save": func(key Key) (before, after func(string) error) {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			return nil, nil
		},
		"ahead of the update": func(key Key) (before, after func(string) error) {
			return on("update", once(remove(key))), nil
		},
		"when it had gone already and was created again": func(key Key) (before, after func(string) error) {
			if err := env.Client.Delete(t.Context(), secretOf(t, s, key)); err != nil {
				t.Fatal(err)
			}
			return nil, on("create", once(remove(key)))
		},
		"while the create was on its way": func(key Key) (before, after func(string) error) {
			if err := env.Client.Delete(t.Context(), secretOf(t, s, key)); err != nil {
				t.Fatal(err)
			}
			return on("create", once(remove(key))), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			key := newKey()
			r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
			r = must(t)(s.Begin(t.Context(), key, r))
			tap.set(hooks(key))
			if _, err := s.Save(t.Context(), key, refreshed(r, 1)); !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
			tap.set(nil, nil)
			flush(t, s)
			if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
				t.Errorf("a record is stored: %v", err)
			}
		})
	}
}

func TestAfterADeletionAConsentOrAnAttemptStartsAnew(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	for range 2 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		must(t)(s.Replace(t.Context(), key, consented("d", 1)))
		must(t)(s.Get(t.Context(), key))
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	r := must(t)(s.Begin(t.Context(), key, &Record{Grant: "ClientCredentials"}))
	must(t)(s.Save(t.Context(), key, refreshed(r, 1)))
	must(t)(s.Get(t.Context(), key))
}

func TestAReconsentWinsOverAnAttemptUnderWay(t *testing.T) {
	c := newCluster(t)
	leader, _ := c.replica("leader")
	other, _ := c.replica("other")
	key := newKey()
	r := must(t)(leader.Replace(t.Context(), key, consented("first", 0)))
	must(t)(leader.Begin(t.Context(), key, r))
	must(t)(other.Replace(t.Context(), key, consented("second", 1)))
	if got := must(t)(leader.Get(t.Context(), key)); got.Authorization != "second" || got.Intent != nil {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsLearntLaterIsAddedToTheSavedRecord(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := newKey()
	saved := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	tap.spent()
	saved.Account, saved.Metadata = "monalisa", map[string]string{"realmId": "123"}
	must(t)(s.Amend(t.Context(), key, saved))
	if requests := tap.spent(); len(requests) != 1 || requests["update"] != 1 {
		t.Errorf("got %v, want one update", requests)
	}
	if got := must(t)(s.Get(t.Context(), key)); got.Account != "monalisa" || got.Metadata["realmId"] != "123" {
		t.Errorf("got %+v", got)
	}
}

func TestAnAmendmentNeverStandsInAnothersWay(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	b, _ := c.replica("b")
	key := newKey()
	saved := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	begun := must(t)(b.Begin(t.Context(), key, must(t)(b.Get(t.Context(), key))))
	if _, err := a.Amend(t.Context(), key, saved); !errors.Is(err, ErrConflict) {
		t.Errorf("over what is newer: got %v, want ErrConflict", err)
	}
	seen := must(t)(a.Get(t.Context(), key))
	seen.Intent, seen.Account = nil, "monalisa"
	must(t)(a.Amend(t.Context(), key, seen))
	if got := must(t)(a.Get(t.Context(), key)); got.Intent == nil || got.Intent.Attempt != begun.Intent.Attempt {
		t.Errorf("got intent %+v, want the one that stands", got.Intent)
	}
}
