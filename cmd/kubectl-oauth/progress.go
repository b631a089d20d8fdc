// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
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
	asking bool   // the line ends with a question
}

// now tells what is being waited for. The same again is not repeated.
func (p *progress) now(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text == p.text {
		return
	}
	p.clear()
	p.text = text
	if p.terminal {
		fmt.Fprint(p.out, text)
		p.column = utf8.RuneCountInString(text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// line prints what stays.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, format+"\n", args...)
	p.text = ""
}

// ask prints a question. On a terminal its line ends with what people type.
func (p *progress) ask(question string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprint(p.out, question)
	p.text, p.asking = "", true
}

// answered says that somebody has typed a line.
func (p *progress) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.asking = false
	}
	p.clear()
}

// end removes what was being waited for.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.text = ""
}

func (p *progress) clear() {
	if p.asking {
		fmt.Fprintln(p.out)
		p.asking = false
	}
	if p.column > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.column))
		p.column = 0
	}
}
