// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

const (
	textWidth = 92
	indent    = "   "
	// logLines of the operator are shown after a failure.
	logLines = 12
)

// story prints what happens, for somebody who sees it for the first time.
type story struct {
	out      io.Writer
	coloured bool
	started  time.Time
	chapters int
	err      error // the first write that failed
}

func newStory(out *os.File) *story {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	coloured := terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &story{out: out, coloured: coloured, started: time.Now()}
}

// SGR parameters (ECMA-48 section 8.3.117).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (s *story) colour(sgr, text string) string {
	if !s.coloured {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (s *story) print(text string) {
	if _, err := io.WriteString(s.out, text); err != nil && s.err == nil {
		s.err = err
	}
}

// chapter begins a numbered part.
func (s *story) chapter(title string) {
	s.chapters++
	seconds := fmt.Sprintf("  (%.1f s)", time.Since(s.started).Seconds())
	s.print(fmt.Sprintf("\n%s%s\n", s.colour(bold, fmt.Sprintf("%d. %s", s.chapters, title)), s.colour(dim, seconds)))
}

// tell prints a paragraph.
func (s *story) tell(format string, args ...any) {
	line := indent
	for _, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		if len(line) > len(indent) && len(line)+1+len(word) > textWidth {
			s.print(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	s.print(line + "\n")
}

// fact prints one line with something to see in it.
func (s *story) fact(format string, args ...any) {
	s.print(indent + indent + fmt.Sprintf(format, args...) + "\n")
}

// command prints a command as it is typed.
func (s *story) command(line string) {
	s.print(indent + s.colour(cyan, "$ "+line) + "\n")
}

// output prints what a command answered.
func (s *story) output(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		s.print(indent + indent + strings.TrimRight(line, "\n") + "\n")
	}
}

// heading prints a line of its own.
func (s *story) heading(text string) { s.print("\n" + s.colour(bold, text) + "\n") }

// query is the part of an address that may carry a code, a state or a ticket.
var query = regexp.MustCompile(`(https?://[^\s?]*\?)\S+`)

// fail prints what failed in one line, then the end of the operator's log.
func (s *story) fail(err error, operatorLog string) {
	s.print("\n" + s.colour(red, "FAILED: "+query.ReplaceAllString(err.Error(), "$1…")) + "\n")
	lines := strings.Split(strings.TrimSpace(operatorLog), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return
	}
	s.print("The end of the operator's log:\n")
	s.output(strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
}
