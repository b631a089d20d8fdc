// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// level is how bad a finding is.
type level string

const (
	levelOK      level = "ok"
	levelNote    level = "note"
	levelWarning level = "warning"
	levelFault   level = "fault"
)

// mark is how a level looks, as in status.
func (l level) mark() mark {
	switch l {
	case levelOK:
		return mark{"ok", green}
	case levelNote:
		return mark{"--", grey}
	case levelWarning:
		return mark{"!!", yellow}
	}
	return mark{"xx", red}
}

// finding is what a check found.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Found string `json:"found"`
	// Mend is a command or a sentence; empty where there is nothing to mend.
	Mend string `json:"mend,omitempty"`

	last bool // looking further makes no sense
}

func ok(format string, args ...any) finding {
	return finding{Level: levelOK, Found: fmt.Sprintf(format, args...)}
}

func note(format string, args ...any) finding {
	return finding{Level: levelNote, Found: fmt.Sprintf(format, args...)}
}

func warn(format string, args ...any) finding {
	return finding{Level: levelWarning, Found: fmt.Sprintf(format, args...)}
}

func fault(found, mend string) finding {
	return finding{Level: levelFault, Found: found, Mend: mend}
}

// mended adds how to mend it.
func (f finding) mended(format string, args ...any) finding {
	f.Mend = fmt.Sprintf(format, args...)
	return f
}

// ending says that looking further makes no sense.
func (f finding) ending() []finding {
	f.last = true
	return []finding{f}
}

func faultsOf(all []finding) []finding {
	var faults []finding
	for _, f := range all {
		if f.Level == levelFault {
			faults = append(faults, f)
		}
	}
	return faults
}

// diagnosis is all that was found. It has no kind: it is nothing that the API server knows.
type diagnosis struct {
	Namespace    string     `json:"namespace"`
	Name         string     `json:"name,omitempty"`
	Faults       int        `json:"faults"`
	Warnings     int        `json:"warnings"`
	Installation []finding  `json:"installation"`
	Connections  []examined `json:"connections"`
}

// examined is what was found about a connection.
type examined struct {
	Name     string    `json:"name"`
	Provider string    `json:"provider,omitempty"`
	Findings []finding `json:"findings"`
}

// add notes findings about a connection, or, without one, about the installation.
func (d *diagnosis) add(conn *v1alpha1.OAuthConnection, found []finding) {
	for i := range found {
		// Messages and names in them come from providers and from other people.
		found[i].Found, found[i].Mend = clean(found[i].Found), clean(found[i].Mend)
		switch found[i].Level {
		case levelFault:
			d.Faults++
		case levelWarning:
			d.Warnings++
		}
	}
	if conn == nil {
		d.Installation = append(d.Installation, found...)
		return
	}
	d.Connections = append(d.Connections, examined{Name: conn.Name, Provider: clean(conn.Status.Provider), Findings: found})
}

// print shows a line for each finding, and the mend beneath it.
func (d *diagnosis) print(out io.Writer, p paint) error {
	var text strings.Builder
	section := func(title string, found []finding) {
		if len(found) == 0 {
			return
		}
		fmt.Fprintf(&text, "%s\n\n", title)
		for _, f := range found {
			m := f.Level.mark()
			fmt.Fprintf(&text, "  %s  %-15s%s\n", p.in(m.colour, m.text), f.Check, f.Found)
			if f.Mend != "" {
				fmt.Fprintf(&text, "%21smend: %s\n", "", f.Mend)
			}
		}
		text.WriteString("\n")
	}
	section("The installation", d.Installation)
	for _, c := range d.Connections {
		about := ""
		if c.Provider != "" {
			about = ", " + c.Provider
		}
		section(fmt.Sprintf("%s in namespace %s%s", c.Name, d.Namespace, about), c.Findings)
	}
	if d.Faults == 0 {
		text.WriteString(d.summary() + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// summary ends a text without faults: those are an error, which is printed elsewhere.
func (d *diagnosis) summary() string {
	if d.Warnings == 0 {
		return "No fault was found."
	}
	return "No fault was found, and " + plural(d.Warnings, "warning", "warnings") + "."
}
