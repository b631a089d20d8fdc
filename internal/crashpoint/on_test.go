// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build chaos

package crashpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain is a process that reaches points, where the test asks for one.
func TestMain(m *testing.M) {
	if os.Getenv("REACH") == "" {
		os.Exit(m.Run())
	}
	for range 3 {
		Reach(Answered, "x")
		Reach(Journalled, "x")
	}
}

func TestTheProcessDiesAtTheReachThatIsNamed(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	self := exec.CommandContext(t.Context(), os.Args[0])
	self.Env = append(os.Environ(), "REACH=1", CrashVariable+"=journalled:2:KILL", TraceVariable+"="+trace)
	_ = self.Run()
	if status := self.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by %s", status.Signal())
	}
	lines, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "\n"); n != 4 {
		t.Errorf("it reached %d points, not 4:\n%s", n, lines)
	}
}

func TestAPlanThatCannotBeReadIsRefused(t *testing.T) {
	for _, crash := range []string{"journalled", "journalled:0:KILL", "journalled:x:KILL"} {
		if _, err := read(crash, ""); err == nil {
			t.Errorf("%q is accepted", crash)
		}
	}
}
