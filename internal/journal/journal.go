// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package journal keeps small files on the local disk for what the API server has not taken yet, so that
// a process that is killed leaves them to the next one of its container. There is one file for each
// thing, written once and synced before Put returns; the directory is the index, so there is nothing to
// compact and nothing that a crash could leave half changed. What the files say is the caller's to seal.
//
// A journal that cannot be written never keeps anybody from going on: Put says so once and returns.
package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// limit bounds what the journal takes on the disk, in bytes: some 10,000 records.
	limit = 64 << 20
	// block is what even the smallest file takes.
	block = 4 << 10
	// patience bounds how long a disk that hangs holds up a caller.
	patience = 2 * time.Second

	suffix = ".sealed"
)

var (
	errFull = errors.New("the journal has reached its limit")
	errSlow = errors.New("the disk does not answer in time")
	errHung = errors.New("the disk still does not answer")
)

// Journal is a directory that this process holds alone. Make one with Open; it is safe for concurrent use.
type Journal struct {
	dir   string
	id    string
	owner *os.File

	mu sync.Mutex
	// files has the size of each file on the disk, used their sum.
	files map[string]int64
	used  int64
	// stuck counts what the disk has not finished in time.
	stuck  int
	failed bool
}

// Open takes a directory, which it makes where there is none. It fails with ErrHeld where another process
// has it. Where the directory cannot be used the journal says so, and again when it can.
func Open(ctx context.Context, dir string) (*Journal, error) {
	j := &Journal{dir: dir, id: NewID(), files: map[string]int64{}}
	err := j.take()
	if errors.Is(err, ErrHeld) {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err == nil {
		err = j.list()
	}
	j.report(ctx, err)
	return j, nil
}

// Close gives the directory up, as the end of the process does.
func (j *Journal) Close() {
	if j.owner != nil {
		_ = j.owner.Close()
	}
}

// Put writes a file, whose name begins with the given one, and returns its name once it is on the disk.
// Where that fails or takes longer than two seconds it returns none, and the file is not kept.
func (j *Journal) Put(ctx context.Context, name string, content []byte) string {
	file := name + "." + rand.Text() + suffix
	err := j.reserve(file, len(content))
	if err == nil {
		err = j.bounded(func() error { return j.write(file, content) }, func(error) { j.discard(file) })
	}
	switch {
	case err == nil, errors.Is(err, errSlow):
	case errors.Is(err, errHung):
		j.forget(file)
	default:
		j.discard(file)
	}
	j.report(ctx, err)
	if err != nil {
		return ""
	}
	return file
}

// Remove deletes a file that is not needed any more. One that cannot be deleted is found again at the
// next start.
func (j *Journal) Remove(file string) {
	_ = j.bounded(func() error { return j.remove(file) }, func(error) {})
}

// Files are the names of what is there.
func (j *Journal) Files() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	names := make([]string, 0, len(j.files))
	for name := range j.files {
		names = append(names, name)
	}
	return names
}

// Read returns what Put was given, or fails with ErrTorn.
func (j *Journal) Read(file string) ([]byte, error) {
	root, err := os.OpenRoot(j.dir)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer root.Close()
	raw, err := root.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return unframe(raw)
}

// Failed says whether the last try to write failed: what comes now is not safe from a crash.
func (j *Journal) Failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// report keeps whether the journal works and logs when that changes.
func (j *Journal) report(ctx context.Context, err error) {
	j.mu.Lock()
	before := j.failed
	j.failed = err != nil
	j.mu.Unlock()
	logger := log.FromContext(ctx).WithValues("journal", j.dir)
	switch {
	case err != nil && !before:
		logger.Error(err, "the journal cannot be written: tokens are saved without it, and a crash may lose one that the API server has not taken yet")
	case err == nil && before:
		logger.Info("the journal can be written again")
	}
}

func (j *Journal) reserve(file string, length int) error {
	size := (int64(length+frameSize) + block - 1) / block * block
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.used+size > limit {
		return errFull
	}
	j.files[file] = size
	j.used += size
	return nil
}

func (j *Journal) remove(file string) error {
	err := os.Remove(filepath.Join(j.dir, file))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		j.forget(file)
	}
	return err
}

// discard removes what was not written to its end. What cannot be removed does not read.
func (j *Journal) discard(file string) {
	_ = j.remove(file)
	j.forget(file)
}

func (j *Journal) forget(file string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.used -= j.files[file]
	delete(j.files, file)
}

// write is over when a power failure cannot take the file away any more: it and its name are synced.
func (j *Journal) write(file string, content []byte) error {
	root, err := os.OpenRoot(j.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(frame(content))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return syncDir(root)
}

func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// bounded runs f and waits for it, but not for a disk that hangs: late gets its result when it comes after that. While
// something hangs nothing else is tried, so that goroutines do not pile up behind the disk.
func (j *Journal) bounded(f func() error, late func(error)) error {
	if j.hanging(0) {
		return errHung
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
	}
	j.hanging(1)
	go func() {
		late(<-done)
		j.hanging(-1)
	}()
	return errSlow
}

// hanging counts what hangs and says whether anything does.
func (j *Journal) hanging(change int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stuck += change
	return j.stuck > 0
}

// list finds what a former process left.
func (j *Journal) list() error {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), suffix) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size := (info.Size() + block - 1) / block * block
		j.files[entry.Name()] = size
		j.used += size
	}
	return nil
}
