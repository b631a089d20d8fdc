// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// ErrHeld says that another process has the directory.
var ErrHeld = errors.New("another process holds the journal; each process needs a directory of its own")

// ownerFile is locked by whoever holds the directory, and has the id.
const ownerFile = "owner"

// ID names all processes that hold this directory, one after another: who holds it now knows that every
// other one of its ID has ended. Where that cannot be known the ID is this process's alone.
func (j *Journal) ID() string { return j.id }

// NewID makes an id, also for a process that has no journal. It begins with the host's name: in a lease
// people read it, and a copy of the directory that comes up on another host does not pass for the original.
func NewID() string { return host() + "_" + string(uuid.NewUUID()) }

func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return strings.ReplaceAll(name, "/", "-")
}

// take locks the directory and learns its id, or gives it one. The lock ends with the process.
func (j *Journal) take() error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(j.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.OpenFile(ownerFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	j.owner = f
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.Join(ErrHeld, f.Close())
	}
	if err != nil {
		return fmt.Errorf("lock the journal: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return err
	}
	if id, whole := strings.CutSuffix(string(text), "\n"); whole && strings.HasPrefix(id, host()+"_") {
		j.id = id
		return nil
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(j.id+"\n"), 0); err != nil {
		return err
	}
	return errors.Join(f.Sync(), syncDir(root))
}
