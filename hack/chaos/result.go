// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// result is what came of a scenario.
type result struct {
	scenario
	random *rand.Rand
	took   time.Duration

	tried, limit            string
	lost, explained, silent int

	mu     sync.Mutex
	broken []string // promises
	notes  []string
	err    error
}

// breach notes that a promise is broken, with what shows it.
func (r *result) breach(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
}

// note adds a figure that no limit holds.
func (r *result) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// progress says on stderr how far a scenario is.
func (r *result) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "  %s: %s\n", r.name, fmt.Sprintf(format, args...))
}

func (r *result) ok() bool { return r.err == nil && len(r.broken) == 0 }

func (r *result) verdict() string {
	switch {
	case r.err != nil:
		return "ended: " + r.err.Error()
	case len(r.broken) > 0:
		return "NOT KEPT: " + r.broken[0]
	}
	return "ok"
}

// print writes the table, and below it what else there is to say.
func print(w io.Writer, s *suite, results []*result) error {
	form := "short"
	if s.long {
		form = "long"
	}
	fmt.Fprintf(w, "\nform %s, seed %d\n\n", form, s.seed)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tTRIED\tLOST\tEXPLAINED\tSILENT\tLIMIT\tOK")
	for _, r := range results {
		verdict := "yes"
		if !r.ok() {
			verdict = "NO"
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", r.name, r.tried, r.lost, r.explained, r.silent, r.limit, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		var lines []string
		if r.err != nil {
			lines = append(lines, "did not get to its end: "+r.err.Error())
		}
		for _, b := range r.broken {
			lines = append(lines, "NOT KEPT: "+b)
		}
		lines = append(lines, r.notes...)
		fmt.Fprintf(w, "\n%s (%.0f s): %s\n", r.name, r.took.Seconds(), r.title)
		for _, line := range lines {
			fmt.Fprintln(w, "  "+strings.ReplaceAll(line, "\n", "\n    "))
		}
	}
	return nil
}
