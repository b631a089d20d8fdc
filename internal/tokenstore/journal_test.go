// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/oauth-operator/oauth-operator/internal/journal"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// container starts a process on a journal. Its replay has not run.
func (c *cluster) container(dir string) (*Store, *wiretap) {
	c.t.Helper()
	files, err := journal.Open(c.t.Context(), dir)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(files.Close)
	s, tap := c.replica(files.ID() + "/" + string(uuid.NewUUID()))
	s.Journal = files
	return s, tap
}

// kill ends a process: no write of it arrives any more, and its lock is gone.
func kill(s *Store, tap *wiretap) {
	tap.set(outage, nil)
	s.Journal.Close()
}

// left is how many files are in a journal.
func left(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sealed"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestATokenThatWasNotSavedOutlivesTheProcess(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	first, tap := c.container(dir)
	attempt := unsavedRefresh(t, first, tap)
	consent := newKey()
	if _, err := first.Replace(t.Context(), consent, consented("second", 2)); !errors.Is(err, ErrUnsaved) {
		t.Fatalf("got %v, want ErrUnsaved", err)
	}
	kill(first, tap)

	next, tap := c.container(dir)
	tap.set(outage, nil) // the API server is still away
	if d := cmp.Diff(Replayed{Held: 2}, next.Replay(t.Context())); d != "" {
		t.Error(d)
	}
	held := must(t)(next.Get(t.Context(), attempt))
	if !next.Pending(attempt.UID) || !held.Token.RefreshToken.Equal(token(1).RefreshToken) {
		t.Errorf("pending %v, got %+v", next.Pending(attempt.UID), held)
	}
	if _, err := next.Begin(t.Context(), attempt, held); !errors.Is(err, ErrUnsaved) {
		t.Errorf("begin: got %v, want ErrUnsaved", err)
	}
	if n := left(t, dir); n != 2 {
		t.Errorf("%d files are left, want 2", n)
	}
	tap.set(nil, nil)
	flush(t, next)
	if got := must(t)(next.Get(t.Context(), attempt)); got.Refreshes != 1 || got.Intent != nil {
		t.Errorf("the attempt: got %+v", got)
	}
	if got := must(t)(next.Get(t.Context(), consent)); got.Authorization != "second" {
		t.Errorf("the consent: got %+v", got)
	}
	if n := left(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestAReplayedTokenGivesWayToWhatIsNewer(t *testing.T) {
	for name, x := range map[string]struct {
		meanwhile func(*testing.T, *cluster, *Store, Key)
		want      string
	}{
		"nothing happened": {func(*testing.T, *cluster, *Store, Key) {}, "first, 1"},
		"a sibling took over and has no token yet": {func(t *testing.T, c *cluster, s *Store, key Key) {
			r := must(t)(s.Get(t.Context(), key))
			c.clock.SetTime(noon.Add(IntentLifetime))
			must(t)(s.Begin(t.Context(), key, r))
		}, "first, 1"},
		"a sibling took over and got a later token": {func(t *testing.T, c *cluster, s *Store, key Key) {
			r := must(t)(s.Get(t.Context(), key))
			c.clock.SetTime(noon.Add(IntentLifetime))
			r = must(t)(s.Begin(t.Context(), key, r))
			must(t)(s.Save(t.Context(), key, refreshed(r, 5)))
		}, "first, 5"},
		"a person consented again": {func(t *testing.T, _ *cluster, s *Store, key Key) {
			must(t)(s.Replace(t.Context(), key, consented("other", 0)))
		}, "other, 0"},
		"the grant was given up": {func(t *testing.T, _ *cluster, s *Store, key Key) {
			if err := env.Client.Delete(t.Context(), secretOf(t, s, key)); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"it was saved, and the answer was lost": {func(t *testing.T, _ *cluster, s *Store, key Key) {
			r := must(t)(s.Get(t.Context(), key))
			must(t)(s.Save(t.Context(), key, refreshed(r, 1)))
		}, "first, 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := newCluster(t), t.TempDir()
			first, tap := c.container(dir)
			key := unsavedRefresh(t, first, tap)
			kill(first, tap)
			sibling, _ := c.replica("sibling")
			x.meanwhile(t, c, sibling, key)

			next, _ := c.container(dir)
			next.Replay(t.Context())
			flush(t, next)
			stored := ""
			if got, err := next.Get(t.Context(), key); err == nil {
				stored = string(got.Authorization) + ", " + got.Token.Obtained.Sub(noon).String()[:1]
			} else if !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			if d := cmp.Diff(x.want, stored); d != "" {
				t.Error(d)
			}
			if n := left(t, dir); n != 0 {
				t.Errorf("%d files are left", n)
			}
		})
	}
}

func TestTheJournalIsEmptyWhenNothingIsUnsaved(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	s, _ := c.container(dir)
	other, _ := c.replica("other")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("first", 0)))
	r = must(t)(s.Save(t.Context(), key, refreshed(must(t)(s.Begin(t.Context(), key, r)), 1)))
	r = must(t)(s.Begin(t.Context(), key, r))
	must(t)(other.Replace(t.Context(), key, consented("second", 2)))
	if _, err := s.Save(t.Context(), key, refreshed(r, 3)); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	r = must(t)(s.Begin(t.Context(), key, must(t)(s.Get(t.Context(), key))))
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), key, refreshed(r, 4)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if n := left(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestAConnectionHasOneFileHoweverManyConsentsAreUnsaved(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	s, tap := c.container(dir)
	key := unsavedRefresh(t, s, tap)
	for i := range 5 {
		if _, err := s.Replace(t.Context(), key, consented("again", 2+i)); !errors.Is(err, ErrUnsaved) {
			t.Fatalf("got %v, want ErrUnsaved", err)
		}
	}
	awaitFiles(t, dir, 1)
	if err := s.Delete(t.Context(), key); !errors.Is(err, errOutage) {
		t.Fatalf("got %v, want the outage", err)
	}
	awaitFiles(t, dir, 0)
}

// awaitFiles polls: who keeps a record removes its file.
func awaitFiles(t *testing.T, dir string, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); left(t, dir) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there are %d files, want %d", left(t, dir), want)
		}
	}
}

// The disk may forget that a file was removed.
func TestFilesOfLongAgoDoNotDisplaceWhatCameAfterThem(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	s, tap := c.container(dir)
	key := newKey()
	forgotten := map[string][]byte{}
	keepFiles := func() {
		files, err := filepath.Glob(filepath.Join(dir, "*.sealed"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			forgotten[file] = content
		}
	}
	seen := func(string) error { keepFiles(); return nil }
	tap.set(seen, nil)
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Save(t.Context(), key, refreshed(must(t)(s.Begin(t.Context(), key, r)), 1)))
	tap.set(nil, nil)
	r = must(t)(s.Begin(t.Context(), key, r))
	tap.set(outage, nil)
	if _, err := s.Save(t.Context(), key, refreshed(r, 2)); !errors.Is(err, ErrUnsaved) {
		t.Fatalf("got %v, want ErrUnsaved", err)
	}
	kill(s, tap)
	for file, content := range forgotten {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := left(t, dir); n != 3 {
		t.Fatalf("%d files, want those of the consent and of both attempts", n)
	}

	next, _ := c.container(dir)
	if d := cmp.Diff(Replayed{Held: 1}, next.Replay(t.Context())); d != "" {
		t.Error(d)
	}
	flush(t, next)
	if got := must(t)(next.Get(t.Context(), key)); !got.Token.RefreshToken.Equal(token(2).RefreshToken) {
		t.Errorf("got %+v, want the last token", got)
	}
	if n := left(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestFilesThatDoNotOpenAreToldApart(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	s, tap := c.container(dir)
	unsavedRefresh(t, s, tap)
	kill(s, tap)
	files, err := filepath.Glob(filepath.Join(dir, "*.sealed"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"torn.sealed": whole[:len(whole)-1], "notes.txt": []byte("not ours")} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	lost := newCluster(t) // its keyset is another one
	stranger, tap := lost.container(dir)
	if d := cmp.Diff(Replayed{Torn: 1, Sealed: 1}, stranger.Replay(t.Context())); d != "" {
		t.Error(d)
	}
	kill(stranger, tap)
	if n := left(t, dir); n != 1 {
		t.Errorf("%d files are left, want the whole one", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error(err)
	}

	restored, _ := c.container(dir)
	if d := cmp.Diff(Replayed{Held: 1}, restored.Replay(t.Context())); d != "" {
		t.Error(d)
	}
	flush(t, restored)
}

func TestTheJournalShowsWhoseARecordIsAndNoToken(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	s, tap := c.container(dir)
	key := unsavedRefresh(t, s, tap)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 { // one is the owner
		t.Fatal(files, err)
	}
	if !strings.Contains(strings.Join(files, " "), string(key.UID)) {
		t.Errorf("no file of %v names the connection", files)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || bytes.Contains(content, []byte("sentinel")) || bytes.Contains(content, []byte("octocat")) {
			t.Errorf("%s is readable, %v", file, err)
		}
	}
	s.Forget(key.UID)
}

func TestAnAttemptOfADeadPredecessorIsTakenOverAtOnce(t *testing.T) {
	c, dir := newCluster(t), t.TempDir()
	first, tap := c.container(dir)
	key := newKey()
	r := must(t)(first.Replace(t.Context(), key, consented("c", 0)))
	begun := must(t)(first.Begin(t.Context(), key, r))
	kill(first, tap)

	stranger, _ := c.container(t.TempDir())
	if _, err := stranger.Begin(t.Context(), key, must(t)(stranger.Get(t.Context(), key))); !errors.Is(err, ErrInFlight) {
		t.Errorf("a stranger: got %v, want ErrInFlight", err)
	}
	next, _ := c.container(dir)
	next.Replay(t.Context())
	taken := must(t)(next.Begin(t.Context(), key, must(t)(next.Get(t.Context(), key))))
	if taken.Interrupted == nil || taken.Interrupted.Attempt != begun.Intent.Attempt {
		t.Errorf("got interrupted %+v", taken.Interrupted)
	}
	if want := (Doubt{Since: noon, Cause: DoubtInterrupted}); taken.Doubt == nil || *taken.Doubt != want {
		t.Errorf("got doubt %+v, want %+v", taken.Doubt, want)
	}
}

func TestATokenIsSavedWithoutAJournalAndJournalledWhenThereIsOneAgain(t *testing.T) {
	c := newCluster(t)
	dir := filepath.Join(t.TempDir(), "journal")
	s, tap := c.container(dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	must(t)(s.Save(t.Context(), key, refreshed(must(t)(s.Begin(t.Context(), key, r)), 1)))
	if !s.Journal.Failed() {
		t.Error("the journal does not say that it failed")
	}
	unsavedRefresh(t, s, tap)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	awaitFiles(t, dir, 1)
	tap.set(nil, nil)
	flush(t, s)
	if left(t, dir) != 0 || s.Journal.Failed() {
		t.Errorf("%d files are left, failed %v", left(t, dir), s.Journal.Failed())
	}
}

func TestARecordThatDoesNotOpenForHalfAMinuteGivesWay(t *testing.T) {
	c := newCluster(t)
	s, _ := c.replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	r = must(t)(s.Begin(t.Context(), key, r))
	lost := newCluster(t)
	lost.namespace = c.namespace
	other, _ := lost.replica("b")
	must(t)(other.Replace(t.Context(), key, consented("d", 0)))
	if _, err := s.Save(t.Context(), key, refreshed(r, 1)); !errors.Is(err, ErrUnsaved) || !errors.Is(err, seal.ErrUnsealable) {
		t.Errorf("got %v, want ErrUnsaved and ErrUnsealable", err)
	}
	c.clock.SetTime(noon.Add(unreadableFor - time.Second))
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Flush(patience); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before half a minute: got %v", err)
	}
	c.clock.SetTime(noon.Add(unreadableFor))
	flush(t, s)
	if got := must(t)(s.Get(t.Context(), key)); got.Refreshes != 1 {
		t.Errorf("got %+v", got)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	u := &unsaved{key: newKey(), record: full().settled(), consent: true}
	u.record.origin = origin{version: "7", intent: full().Intent}
	encoded, err := encodeEntry(u)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Add([]byte(`{"key":{"UID":"u"},"record":{"v":1}}`))
	f.Fuzz(func(t *testing.T, plain []byte) {
		u, err := decodeEntry(plain)
		if err != nil {
			return
		}
		again, err := encodeEntry(u)
		if err != nil {
			t.Fatal(err)
		}
		same, err := decodeEntry(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(u.record, same.record) + cmp.Diff(u.key, same.key) + cmp.Diff(u.record.origin.intent, same.record.origin.intent); d != "" {
			t.Error(d)
		}
		if u.consent != same.consent || u.record.origin.version != same.record.origin.version {
			t.Error("consent or version is lost")
		}
	})
}

// FuzzReplay puts anything into a file of the journal: it is held, kept or removed, and nothing else.
func FuzzReplay(f *testing.F) {
	keyset, err := seal.NewKeyset()
	if err != nil {
		f.Fatal(err)
	}
	keyring, err := seal.Open(f.Context(), func(context.Context) ([]byte, error) { return keyset, nil })
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1}, 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.sealed"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := journal.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		s := &Store{Keyring: keyring, Journal: files}
		if got := s.Replay(t.Context()); got.Held != 0 || got.Torn+got.Sealed != 1 || got.Sealed != left(t, dir) {
			t.Errorf("got %+v and %d files", got, left(t, dir))
		}
	})
}
