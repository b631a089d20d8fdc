// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// opened is a journal in dir; lines is what it logged.
func opened(t *testing.T, dir string) (j *Journal, ctx context.Context, lines *[]string) {
	t.Helper()
	lines = &[]string{}
	ctx = log.IntoContext(t.Context(), funcr.New(func(_, args string) { *lines = append(*lines, args) }, funcr.Options{}))
	j, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j, ctx, lines
}

func TestWhatWasPutIsReadByTheNextProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	j, ctx, _ := opened(t, dir)
	kept := j.Put(ctx, "a", []byte("kept"))
	j.Remove(j.Put(ctx, "a", []byte("done")))
	j.Close()

	next, _, _ := opened(t, dir)
	if got := next.Files(); !slices.Equal(got, []string{kept}) {
		t.Fatalf("got %v, want %s", got, kept)
	}
	if got, err := next.Read(kept); err != nil || string(got) != "kept" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(dir, kept)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestOneProcessAtATimeHoldsTheDirectoryAndItsID(t *testing.T) {
	dir := t.TempDir()
	j, ctx, _ := opened(t, dir)
	if _, err := Open(ctx, dir); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want ErrHeld with the directory", err)
	}
	j.Close()
	next, _, _ := opened(t, dir)
	if next.ID() != j.ID() {
		t.Errorf("the id was %s and is %s", j.ID(), next.ID())
	}
	if other, _, _ := opened(t, t.TempDir()); other.ID() == j.ID() {
		t.Error("two directories have one id")
	}
}

func TestAnIDThatIsTornOrOfAnotherHostIsMadeAnew(t *testing.T) {
	for name, text := range map[string]string{"torn": host() + "_123", "empty": "", "a copy": "elsewhere_123\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, _ := opened(t, dir)
		j.Close()
		next, _, _ := opened(t, dir)
		if next.ID() != j.ID() || next.ID() == strings.TrimSpace(text) {
			t.Errorf("%s: got %s, then %s", name, j.ID(), next.ID())
		}
	}
}

func TestATornFileIsToldFromAWholeOne(t *testing.T) {
	dir := t.TempDir()
	j, ctx, _ := opened(t, dir)
	file := j.Put(ctx, "a", []byte("content"))
	whole, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(filepath.Join(dir, file), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Read(file); !errors.Is(err, ErrTorn) {
			t.Errorf("%d bytes: got %v, want ErrTorn", n, err)
		}
	}
	// A power failure may leave the size without the content.
	if err := os.WriteFile(filepath.Join(dir, file), make([]byte, len(whole)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Read(file); !errors.Is(err, ErrTorn) {
		t.Errorf("zeros: got %v, want ErrTorn", err)
	}
}

func TestADirectoryThatVanishesAndComesBackIsSaidOnceEach(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, ctx, lines := opened(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if file := j.Put(ctx, "a", nil); file != "" || !j.Failed() {
			t.Errorf("got %q, failed %v", file, j.Failed())
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if file := j.Put(ctx, "a", nil); file == "" || j.Failed() {
			t.Errorf("got %q, failed %v", file, j.Failed())
		}
	}
	if len(*lines) != 2 {
		t.Errorf("got %d lines, want 2: %v", len(*lines), *lines)
	}
}

func TestADirectoryThatCannotBeUsedKeepsNobodyFromStarting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, ctx, lines := opened(t, dir)
	if !j.Failed() || len(*lines) != 1 || j.ID() == "" {
		t.Errorf("failed %v, id %q, log %v", j.Failed(), j.ID(), *lines)
	}
	for range 2 * limit / block { // what fails takes no room
		if j.Put(ctx, "a", nil) != "" {
			t.Fatal("something is kept")
		}
	}
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if j.Put(ctx, "a", nil) == "" {
		t.Error("nothing is kept when it can be used")
	}
}

func TestTheJournalHasABoundAndRoomAgainAfterIt(t *testing.T) {
	j, ctx, _ := opened(t, t.TempDir())
	j.used = limit - 2*block
	file := j.Put(ctx, "a", make([]byte, block)) // with its frame two blocks
	if file == "" {
		t.Fatal("nothing is kept below the bound")
	}
	if j.Put(ctx, "a", nil) != "" || !j.Failed() {
		t.Error("a file is kept above the bound")
	}
	j.Remove(file)
	if j.Put(ctx, "a", nil) == "" || j.Failed() {
		t.Error("there is no room again")
	}
}

func TestAFullDiskKeepsNothingHalf(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	j, ctx, _ := opened(t, dir)
	var kept []string
	for range 20 {
		if file := j.Put(ctx, "a", make([]byte, 8<<10)); file != "" {
			kept = append(kept, file)
		}
	}
	if len(kept) == 0 || len(kept) == 20 || !j.Failed() {
		t.Errorf("%d files of 20 are kept, failed %v", len(kept), j.Failed())
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(kept)+1 { // and the owner
		t.Errorf("there are %d files, %v", len(entries), err)
	}
	j.Remove(kept[0])
	if j.Put(ctx, "a", nil) == "" || j.Failed() {
		t.Error("there is no room again")
	}
}

func TestADiskThatHangsHoldsUpEachCallerOnceAndThenNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &Journal{dir: t.TempDir(), files: map[string]int64{}}
		answer, late := make(chan struct{}), make(chan struct{})
		hang := func() error { <-answer; return nil }
		if err := j.bounded(hang, func(error) { close(late) }); !errors.Is(err, errSlow) {
			t.Errorf("got %v, want errSlow", err)
		}
		called := false
		if err := j.bounded(func() error { called = true; return nil }, nil); !errors.Is(err, errHung) || called {
			t.Errorf("while it hangs: got %v, called %v", err, called)
		}
		if j.Put(t.Context(), "a", nil) != "" || len(j.files) != 0 {
			t.Error("something is kept while it hangs")
		}
		close(answer)
		<-late
		synctest.Wait()
		if err := j.bounded(func() error { return nil }, nil); err != nil {
			t.Errorf("afterwards: got %v", err)
		}
	})
}

func TestManyPutAtOnce(t *testing.T) {
	j, ctx, _ := opened(t, t.TempDir())
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			content := fmt.Append(nil, i)
			file := j.Put(ctx, "a", content)
			if got, err := j.Read(file); err != nil || !bytes.Equal(got, content) {
				t.Errorf("got %q, %v", got, err)
			}
			j.Remove(file)
		})
	}
	all.Wait()
	if len(j.Files()) != 0 || j.used != 0 {
		t.Errorf("%d files and %d bytes are left", len(j.Files()), j.used)
	}
}

func FuzzUnframe(f *testing.F) {
	f.Add(frame([]byte("content")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		content, err := unframe(raw)
		if err == nil && !bytes.Equal(frame(content), raw) {
			t.Error("another file reads the same")
		}
	})
}

// BenchmarkPut is the disk's part of a save.
func BenchmarkPut(b *testing.B) {
	j, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(j.Close)
	content := make([]byte, 3<<10)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			j.Remove(j.Put(b.Context(), "a", content))
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.SetParallelism(32) // times GOMAXPROCS
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				j.Remove(j.Put(b.Context(), "a", content))
			}
		})
	})
}
