// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// progress tells people what a command waits for: in one line that is written over on a terminal, and
// in a line for each step elsewhere. It may be used from several goroutines.
type progress struct {
	out      io.Writer
	terminal bool

	mu     sync.Mutex
	text   string // told last
	column int    // how much of the terminal's line is written
}

// now tells what is being waited for. The same again is not repeated.
func (p *progress) now(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case text == p.text:
		return
	case p.terminal:
		p.clear()
		fmt.Fprint(p.out, text)
		p.column = utf8.RuneCountInString(text)
	default:
		fmt.Fprintln(p.out, text)
	}
	p.text = text
}

// line prints what stays.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
	p.text = ""
}

// ask prints a question. The answer ends its line.
func (p *progress) ask(question string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprint(p.out, question)
	p.text = ""
}

// end removes what was being waited for.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.text = ""
}

func (p *progress) clear() {
	if p.column > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.column))
		p.column = 0
	}
}

// visible takes out of a foreign text what could steer a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsGraphic(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}
