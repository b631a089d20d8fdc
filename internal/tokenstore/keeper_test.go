// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// unsavedRefresh leaves a connection with a refreshed record that the outage keeps from being stored.
func unsavedRefresh(t *testing.T, s *Store, tap *wiretap) Key {
	t.Helper()
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("first", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	tap.set(outage, nil)
	if _, err := s.Save(t.Context(), key, refreshed(r, 1)); !errors.Is(err, ErrUnsaved) || !errors.Is(err, errOutage) {
		t.Fatalf("got %v, want ErrUnsaved and its cause", err)
	}
	return key
}

func TestATokenOutlivesAnOutage(t *testing.T) {
	c := newCluster(t)
	s, tap := c.replica("a")
	other, _ := c.replica("b")
	key := unsavedRefresh(t, s, tap)
	if !s.Pending(key.UID) || s.Unsaved() != 1 {
		t.Errorf("pending %v, %d unsaved", s.Pending(key.UID), s.Unsaved())
	}
	held := must(t)(s.Get(t.Context(), key))
	if !held.Token.RefreshToken.Equal(token(1).RefreshToken) {
		t.Errorf("got %+v, want the unsaved record", held)
	}
	if _, err := s.Begin(t.Context(), key, held); !errors.Is(err, ErrUnsaved) {
		t.Errorf("begin: got %v, want ErrUnsaved", err)
	}
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Flush(patience); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush during the outage: got %v", err)
	}

	tap.set(nil, nil)
	flush(t, s)
	if s.Pending(key.UID) || s.Unsaved() != 0 {
		t.Error("still pending after Flush")
	}
	if d := diff(held, must(t)(other.Get(t.Context(), key))); d != "" {
		t.Error(d)
	}
}

func TestATokenOutlivesAStopOfTheAPIServer(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	if err := env.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Save(t.Context(), key, refreshed(r, 1))
	if startErr := env.StartAPIServer(); startErr != nil {
		t.Fatal(startErr)
	}
	if !errors.Is(err, ErrUnsaved) {
		t.Errorf("got %v, want ErrUnsaved", err)
	}
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Refreshes != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestALostAnswerToASaveIsNotTakenForAConflict(t *testing.T) {
	c := newCluster(t)
	s, tap := c.replica("a")
	other, _ := c.replica("b")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	// The write is served, the answer is lost, and the other replica goes on at once.
	tap.set(nil, on("update", once(func() error {
		must(t)(other.Begin(t.Context(), key, must(t)(other.Get(t.Context(), key))))
		return errOutage
	})))
	if _, err := s.Save(t.Context(), key, refreshed(r, 1)); !errors.Is(err, ErrUnsaved) {
		t.Errorf("got %v, want ErrUnsaved", err)
	}
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Refreshes != 1 || got.Intent == nil || got.Intent.Holder != "b" {
		t.Errorf("got %+v, want the saved record with the other's intent", got)
	}
}

func TestADeletedConnectionIsNotSavedAfterTheOutage(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := unsavedRefresh(t, s, tap)
	if err := s.Delete(t.Context(), key); !errors.Is(err, errOutage) {
		t.Fatalf("got %v, want the outage", err)
	}
	if s.Pending(key.UID) {
		t.Error("still pending")
	}
	tap.set(nil, nil)
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	flush(t, s)
	if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestANewConsentTakesThePlaceOfWhatIsUnsaved(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := unsavedRefresh(t, s, tap)
	held, err := s.Replace(t.Context(), key, consented("second", 2))
	if !errors.Is(err, ErrUnsaved) || held.Authorization != "second" || s.Unsaved() != 1 {
		t.Errorf("got %+v, %v, %d unsaved", held, err, s.Unsaved())
	}
	tap.set(nil, nil)
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Authorization != "second" {
		t.Errorf("got %+v", got)
	}
}

func TestTheOutcomeOfAnAttemptDoesNotDisplaceAnUnsavedConsent(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("first", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	tap.set(outage, nil)
	if _, err := s.Replace(t.Context(), key, consented("second", 1)); !errors.Is(err, ErrUnsaved) {
		t.Fatalf("got %v, want ErrUnsaved", err)
	}
	got, err := s.Save(t.Context(), key, refreshed(r, 2))
	if !errors.Is(err, ErrConflict) || got.Authorization != "second" {
		t.Errorf("got %+v, %v", got, err)
	}
	tap.set(nil, nil)
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Authorization != "second" {
		t.Errorf("got %+v", got)
	}
}

func TestALateKeeperGivesWayToALaterConsent(t *testing.T) {
	c := newCluster(t)
	s, tap := c.replica("a")
	other, _ := c.replica("b")
	key := newKey()
	tap.set(outage, nil)
	if _, err := s.Replace(t.Context(), key, consented("first", 0)); !errors.Is(err, ErrUnsaved) {
		t.Fatalf("got %v, want ErrUnsaved", err)
	}
	must(t)(other.Replace(t.Context(), key, consented("second", 1)))
	tap.set(nil, nil)
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Authorization != "second" {
		t.Errorf("got %+v", got)
	}
}

func TestFlushWaitsForAttemptsUnderWay(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	for name, finish := range map[string]func(Key, *Record){
		"save":   func(key Key, r *Record) { must(t)(s.Save(t.Context(), key, refreshed(r, 1))) },
		"fail":   func(key Key, r *Record) { must(t)(s.Fail(t.Context(), key, r, Failure{})) },
		"forget": func(key Key, _ *Record) { s.Forget(key.UID) },
		"panic":  func(key Key, _ *Record) { s.Abandon(key) },
	} {
		key := newKey()
		r := must(t)(s.Begin(t.Context(), key, &Record{}))
		if s.keeper.wait() == nil {
			t.Errorf("%s: Flush would not wait", name)
		}
		flushed := make(chan error, 1)
		go func() { flushed <- s.Flush(t.Context()) }()
		finish(key, r)
		if err := <-flushed; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	tap.set(outage, nil)
	if _, err := s.Begin(t.Context(), newKey(), &Record{}); !errors.Is(err, errOutage) {
		t.Errorf("got %v, want the outage", err)
	}
	flush(t, s)
}

// Two replicas refresh ten connections while a tenth of all answers and requests are lost. The provider
// is a counter per connection: each attempt spends the token it holds.
func TestNoTokenIsLostOrSpentTwiceWhileRequestsFail(t *testing.T) {
	c := newCluster(t)
	lose := func(string) error {
		if rand.IntN(10) == 0 {
			return errOutage
		}
		return nil
	}
	var stores []*Store
	for _, holder := range []string{"a", "b"} {
		s, tap := c.replica(holder)
		tap.set(lose, lose)
		stores = append(stores, s)
	}
	reliable, _ := c.replica("reliable")
	providers := map[Key]*counter{}
	var connections sync.WaitGroup
	for range 10 {
		key, p := newKey(), &counter{}
		providers[key] = p
		must(t)(reliable.Replace(t.Context(), key, consented("c", 0)))
		for _, s := range stores {
			connections.Go(func() { p.refresh(t, s, key, 10) })
		}
	}
	connections.Wait()
	for _, s := range stores {
		flush(t, s)
	}
	for key, p := range providers {
		if got := must(t)(reliable.Get(t.Context(), key)); !got.Token.RefreshToken.Equal(token(p.last).RefreshToken) {
			t.Errorf("token %d is lost, stored is the one of %s", p.last, got.Token.Obtained)
		}
	}
}

// counter is a rotating provider without grace: only the last token it gave is good.
type counter struct {
	mu   sync.Mutex
	last int
}

func (p *counter) spend(t *testing.T, r *Record) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.Token.RefreshToken.Equal(token(p.last).RefreshToken) {
		t.Errorf("a token that is not the last, %d, was spent", p.last)
	}
	p.last++
	return p.last
}

// refresh tries until the provider gave n tokens in all.
func (p *counter) refresh(t *testing.T, s *Store, key Key, n int) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		p.mu.Lock()
		done := p.last >= n
		p.mu.Unlock()
		if done {
			return
		}
		r, err := s.Get(t.Context(), key)
		if err != nil {
			continue
		}
		r, err = s.Begin(t.Context(), key, r)
		if err != nil {
			continue
		}
		if _, err := s.Save(t.Context(), key, refreshed(r, p.spend(t, r))); err != nil && !errors.Is(err, ErrUnsaved) {
			t.Error(err)
		}
	}
	t.Error("no end in a minute")
}
