// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build chaos

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// plan is what this process is to do, read once.
type plan struct {
	point  Point
	signal syscall.Signal
	left   atomic.Int64 // reaches of the point until it is carried out
	trace  *os.File
}

// current is the process's own plan: reaches are counted over all of it.
var current = sync.OnceValue(func() *plan {
	p, err := read(os.Getenv(CrashVariable), os.Getenv(TraceVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashpoint:", err)
		os.Exit(2)
	}
	return p
})

// Reach says that the process is at a point with this connection. It may be the end of the process.
func Reach(at Point, subject types.UID) {
	p := current()
	if p.trace != nil {
		// One write each: it is there even if the process dies right after it.
		_, _ = fmt.Fprintf(p.trace, "%d %s %s\n", time.Now().UnixNano(), at, subject)
	}
	if at != p.point || p.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), p.signal)
	if p.signal == syscall.SIGKILL {
		select {} // not one instruction more
	}
}

// read understands the two variables; both may be empty.
func read(crash, trace string) (p *plan, err error) {
	p = &plan{}
	if trace != "" {
		if p.trace, err = os.OpenFile(trace, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return nil, err
		}
	}
	if crash == "" {
		return p, nil
	}
	parts := strings.Split(crash, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s is %q; it has to be point:n:KILL or point:n:TERM", CrashVariable, crash)
	}
	count, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || count < 1 {
		return nil, fmt.Errorf("%s is %q: the second part has to be a number from 1", CrashVariable, crash)
	}
	p.left.Store(count)
	p.point, p.signal = Point(parts[0]), syscall.SIGKILL
	if parts[2] == "TERM" {
		p.signal = syscall.SIGTERM
	}
	return p, nil
}
