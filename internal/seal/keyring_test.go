// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// store is where replicas read their keyset from.
type store struct {
	mu     sync.Mutex
	keyset []byte
	err    error
	reads  int
}

func (s *store) read(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return s.keyset, s.err
}

func (s *store) set(keyset []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyset, s.err = keyset, err
}

func newKeyset(t testing.TB) []byte {
	t.Helper()
	keyset, err := NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return keyset
}

func rotate(t testing.TB, keyset []byte) []byte {
	t.Helper()
	rotated, err := Rotate(keyset)
	if err != nil {
		t.Fatal(err)
	}
	return rotated
}

func openFrom(t testing.TB, s *store) (*Keyring, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	k, err := open(t.Context(), s.read, clock)
	if err != nil {
		t.Fatal(err)
	}
	return k, clock
}

func sealed(t testing.TB, k *Keyring, text string) []byte {
	t.Helper()
	out, err := k.Seal(PurposeRecord, "uid", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatOneReplicaSealsAnotherOpens(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	a, _ := openFrom(t, s)
	b, _ := openFrom(t, s)
	text := sealed(t, a, "sentinel")
	if bytes.Contains(text, []byte("sentinel")) {
		t.Error("the sealed text shows the plaintext")
	}
	plaintext, err := b.Unseal(t.Context(), PurposeRecord, "uid", text)
	if err != nil || string(plaintext) != "sentinel" {
		t.Errorf("got %q, %v", plaintext, err)
	}
}

func TestNothingOpensForAnotherPurposeOrSubjectOrChanged(t *testing.T) {
	k, _ := openFrom(t, &store{keyset: newKeyset(t)})
	text := sealed(t, k, "x")
	for name, try := range map[string]func() ([]byte, error){
		"purpose": func() ([]byte, error) { return k.Unseal(t.Context(), PurposeFlow, "uid", text) },
		"subject": func() ([]byte, error) { return k.Unseal(t.Context(), PurposeRecord, "uid2", text) },
		"moved boundary": func() ([]byte, error) {
			return k.Unseal(t.Context(), PurposeRecord+"u", "id", text)
		},
		"empty":   func() ([]byte, error) { return k.Unseal(t.Context(), PurposeRecord, "uid", nil) },
		"cut":     func() ([]byte, error) { return k.Unseal(t.Context(), PurposeRecord, "uid", text[:len(text)-1]) },
		"id only": func() ([]byte, error) { return k.Unseal(t.Context(), PurposeRecord, "uid", text[:5]) },
		"extended": func() ([]byte, error) {
			return k.Unseal(t.Context(), PurposeRecord, "uid", append(bytes.Clone(text), 0))
		},
		"no prefix": func() ([]byte, error) { return k.Unseal(t.Context(), PurposeRecord, "uid", text[5:]) },
	} {
		if _, err := try(); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", changed); !errors.Is(err, ErrUnsealable) {
			t.Errorf("byte %d changed: got %v", i, err)
		}
	}
}

func TestRotationKeepsOldTextsReadableAndReachesRunningReplicas(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	running, clock := openFrom(t, s)
	old := sealed(t, running, "old")
	for range 3 {
		s.set(rotate(t, s.keyset), nil)
		clock.SetTime(clock.Now().Add(reloadInterval))
		restarted, _ := openFrom(t, s)
		fresh := sealed(t, restarted, "new")
		if bytes.Equal(fresh[:5], old[:5]) {
			t.Error("the new key does not seal")
		}
		for _, text := range [][]byte{old, fresh} {
			if _, err := running.Unseal(t.Context(), PurposeRecord, "uid", text); err != nil {
				t.Errorf("running replica: %v", err)
			}
			if _, err := restarted.Unseal(t.Context(), PurposeRecord, "uid", text); err != nil {
				t.Errorf("restarted replica: %v", err)
			}
		}
	}
	// Having learned the new key, the running replica seals with it.
	if a, b := sealed(t, running, ""), old; bytes.Equal(a[:5], b[:5]) {
		t.Error("the running replica seals with the first key")
	}
}

func TestForgedTextsDoNotBecomeReads(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	k, clock := openFrom(t, s)
	genuine := sealed(t, k, "x")
	forge := func() {
		for id := range 100 {
			forged := append([]byte{1, 0, 0, 0, byte(id)}, genuine[5:]...)
			if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", forged); !errors.Is(err, ErrUnsealable) {
				t.Fatalf("got %v", err)
			}
		}
	}
	forge()
	if s.reads != 1 {
		t.Errorf("%d reads right after the first, want 1", s.reads)
	}
	clock.SetTime(clock.Now().Add(reloadInterval))
	forge()
	if s.reads != 2 {
		t.Errorf("%d reads one interval later, want 2", s.reads)
	}
	clock.SetTime(clock.Now().Add(time.Hour))
	genuine[len(genuine)-1] ^= 1
	if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", genuine); !errors.Is(err, ErrUnsealable) || s.reads != 2 {
		t.Errorf("a known key: got %v, %d reads", err, s.reads)
	}
}

func TestAnUnreadableSourceIsNotMistakenForAnUnsealableText(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	k, clock := openFrom(t, s)
	old := sealed(t, k, "old")
	rotated := rotate(t, s.keyset)
	other, _ := openFrom(t, &store{keyset: rotated})
	fresh := sealed(t, other, "new")

	outage := errors.New("no API server")
	s.set(nil, outage)
	clock.SetTime(clock.Now().Add(reloadInterval))
	for range 2 {
		_, err := k.Unseal(t.Context(), PurposeRecord, "uid", fresh)
		if !errors.Is(err, outage) || errors.Is(err, ErrUnsealable) {
			t.Errorf("got %v, want the outage", err)
		}
	}
	if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", old); err != nil {
		t.Errorf("a known key during the outage: %v", err)
	}
	s.set(rotated, nil)
	clock.SetTime(clock.Now().Add(reloadInterval))
	if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", fresh); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestManyReadersOfANewKeyCauseOneRead(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	k, clock := openFrom(t, s)
	s.set(rotate(t, s.keyset), nil)
	other, _ := openFrom(t, &store{keyset: s.keyset})
	fresh := sealed(t, other, "new")
	clock.SetTime(clock.Now().Add(reloadInterval))
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", fresh); err != nil {
				t.Error(err)
			}
			_, _ = k.Seal(PurposeRecord, "uid", nil)
		})
	}
	readers.Wait()
	if s.reads != 2 {
		t.Errorf("%d reads, want 2", s.reads)
	}
}

func TestABrokenKeysetIsRefusedWithoutBeingQuoted(t *testing.T) {
	for _, keyset := range []string{"", "{}", "sentinel", `{"primaryKeyId": 1, "key": [{"keyData": {"value": "sentinel"}}]}`} {
		if _, err := Open(t.Context(), (&store{keyset: []byte(keyset)}).read); err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("Open(%q): %v", keyset, err)
		}
		if _, err := Rotate([]byte(keyset)); err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("Rotate(%q): %v", keyset, err)
		}
		if _, err := Prune([]byte(keyset)); err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("Prune(%q): %v", keyset, err)
		}
	}
}

func TestAReplicaThatRereadsSealsWithTheNewKeyAndTellsWhatIsStale(t *testing.T) {
	s := &store{keyset: newKeyset(t)}
	k, _ := openFrom(t, s)
	old, first := sealed(t, k, "old"), k.Primary()
	if k.Stale(old) || !k.Stale(nil) {
		t.Error("what the primary key sealed is stale, or what no key sealed is not")
	}
	s.set(rotate(t, s.keyset), nil)
	for range 2 { // the second time nothing is new
		if err := k.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !k.Stale(old) || k.Stale(sealed(t, k, "new")) || k.Primary() == first || k.Changes() != 2 || k.Lost() != 0 {
		t.Errorf("stale: %t; %d keysets, %d keys lost", k.Stale(old), k.Changes(), k.Lost())
	}
	again, err := k.Reseal(t.Context(), PurposeRecord, "uid", old)
	if err != nil || k.Stale(again) {
		t.Fatalf("resealing: %v", err)
	}
	if plaintext, err := k.Unseal(t.Context(), PurposeRecord, "uid", again); err != nil || string(plaintext) != "old" {
		t.Errorf("got %q, %v", plaintext, err)
	}
}

func TestAKeyThatTheKeysetLostStillOpensRecordsAndNothingThatIsHandedIn(t *testing.T) {
	first := newKeyset(t)
	second := rotate(t, first)
	pruned, err := Prune(second)
	if err != nil {
		t.Fatal(err)
	}
	for name, after := range map[string][]byte{"pruned": pruned, "an older backup": first, "a fresh one": newKeyset(t)} {
		s := &store{keyset: first}
		k, _ := openFrom(t, s)
		texts := map[Purpose][][]byte{}
		seal := func() {
			for _, purpose := range []Purpose{PurposeRecord, PurposeJournal, PurposeTicket, PurposeSession} {
				text, err := k.Seal(purpose, "", nil)
				if err != nil {
					t.Fatal(err)
				}
				texts[purpose] = append(texts[purpose], text)
			}
		}
		seal()
		s.set(second, nil)
		if err := k.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
		seal()
		s.set(after, nil)
		if err := k.Reread(t.Context()); err != nil {
			t.Fatal(err)
		}
		if k.Lost() == 0 {
			t.Errorf("%s: no key is lost", name)
		}
		dead := 0
		for purpose, list := range texts {
			for _, text := range list {
				_, err := k.Unseal(t.Context(), purpose, "", text)
				if kept := purpose == PurposeRecord || purpose == PurposeJournal; kept && err != nil {
					t.Errorf("%s: a %s does not open: %v", name, purpose, err)
				} else if !kept && errors.Is(err, ErrUnsealable) {
					dead++
				}
			}
		}
		if want := 2 * k.Lost(); dead != want {
			t.Errorf("%s: %d tickets and sessions died, want %d", name, dead, want)
		}
		restarted, _ := openFrom(t, s)
		if restarted.Lost() != 0 || restarted.Primary() != k.Primary() {
			t.Errorf("%s: a restarted replica differs", name)
		}
	}
}

func TestPruningKeepsThePrimaryKeyAlone(t *testing.T) {
	keyset := newKeyset(t)
	for range 3 {
		keyset = rotate(t, keyset)
	}
	before, _ := openFrom(t, &store{keyset: keyset})
	if ids, err := Others(keyset); err != nil || len(ids) != 3 {
		t.Errorf("others: %v, %v", ids, err)
	}
	pruned, err := Prune(keyset)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := Others(pruned); err != nil || len(ids) != 0 {
		t.Errorf("others: %v, %v", ids, err)
	}
	after, _ := openFrom(t, &store{keyset: pruned})
	if after.Primary() != before.Primary() {
		t.Error("another key is primary")
	}
}

func FuzzUnseal(f *testing.F) {
	k, _ := openFrom(f, &store{keyset: newKeyset(f)})
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3, 4, 5})
	f.Add(sealed(f, k, "x")[:20])
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", text); !errors.Is(err, ErrUnsealable) {
			t.Errorf("got %v", err)
		}
	})
}

func BenchmarkUnseal(b *testing.B) {
	k, _ := openFrom(b, &store{keyset: newKeyset(b)})
	text := sealed(b, k, strings.Repeat("x", 2048))
	for b.Loop() {
		if _, err := k.Unseal(b.Context(), PurposeRecord, "uid", text); err != nil {
			b.Fatal(err)
		}
	}
}
