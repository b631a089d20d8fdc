// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenfile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// mount writes a token as the kubelet does: a new folder, and a link that is moved to it.
func mount(t *testing.T, dir, version, token string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, version, "access_token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(version, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	_ = os.Symlink(filepath.Join("..data", "access_token"), filepath.Join(dir, "access_token"))
}

func TestATokenThatIsReplacedIsTold(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "..1", "first\n")
	f := File{Path: filepath.Join(dir, "access_token"), Every: time.Millisecond}
	first, err := f.Read()
	if err != nil || first != "first" {
		t.Fatal(first, err)
	}
	told := make(chan string)
	go f.Follow(t.Context(), first, func(token string) {
		select {
		case told <- token:
		case <-t.Context().Done():
		}
	})
	mount(t, dir, "..2", "second")
	if got := <-told; got != "second" {
		t.Errorf("told of %q", got)
	}
}

func TestFollowingEndsWithItsContextAndSurvivesAFileThatIsNotThereYet(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := File{Path: filepath.Join(t.TempDir(), "access_token"), Every: time.Millisecond}
	if _, err := f.Read(); err == nil {
		t.Error("a missing file was read")
	}
	ended := make(chan struct{})
	go func() { defer close(ended); f.Follow(ctx, "", func(string) { t.Error("there is no token") }) }()
	cancel()
	<-ended
}

func TestAnEmptyFileIsNoToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access_token")
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if token, err := (File{Path: path}).Read(); err == nil {
		t.Errorf("read %q", token)
	}
}
