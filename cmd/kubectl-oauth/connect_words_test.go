// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestCodesAreTakenAsPeopleTypeThem(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDF-GHJK", "bcdfghjk": "BCDF-GHJK", "bcdf ghjk": "BCDF-GHJK", "bcdf\tghjk": "BCDF-GHJK", "b-c-d-f-g-h-j-k": "BCDF-GHJK",
		"": "", "BCDF": "", "BCDF-GHJKL": "", "BCDF-GHJA": "", "BCDF-GHJY": "", "1234-5678": "", "bcdf–ghjk": "", "BCDFGHJ\x00": "",
	} {
		if got, ok := parseCode(typed); got != want || ok != (want != "") {
			t.Errorf("%q is %q", typed, got)
		}
	}
}

func TestTheProgressIsOneLineOnATerminalAndALineForEachStepElsewhere(t *testing.T) {
	for terminal, want := range map[bool]string{
		false: "waiting\ngoing on\nword\ngoing on\nsure? \nreally? \ngoing on\n",
		true:  "waiting\r       \rgoing on\r        \rword\ngoing on\r        \rsure? really? \ngoing on\r        \r",
	} {
		var out bytes.Buffer
		p := &progress{out: &out, terminal: terminal}
		p.now("waiting")
		p.now("waiting")
		p.now("going on")
		p.line("%s", "word")
		p.now("going on")
		p.ask("sure? ")
		p.answered()
		p.ask("really? ")
		p.now("going on")
		p.end()
		p.end()
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("terminal %v: %s", terminal, diff)
		}
	}
}

func TestNamesAreQuotedForAShell(t *testing.T) {
	for name, want := range map[string]string{
		"alice@example.com":             "alice@example.com",
		"system:serviceaccount:team:ci": "system:serviceaccount:team:ci",
		"CN=Zoë; rm -rf ~":              "'CN=Zoë; rm -rf ~'",
		"o'neill":                       `'o'\''neill'`,
		"":                              "''",
	} {
		if got := shellWord(name); got != want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestAnAttemptsNameIsOneThatTheAPIServerTakes(t *testing.T) {
	for _, name := range []string{"github", strings.Repeat("a", 253), strings.Repeat("a", 199) + "." + strings.Repeat("b", 53)} {
		conn := &v1alpha1.OAuthConnection{}
		conn.Name, conn.Namespace, conn.UID = name, env.Namespace(t), "x"
		attempt := newAttempt(conn, "")
		attempt.OwnerReferences = nil
		attempt.Spec.Requester = "admin"
		if err := env.Client.Create(t.Context(), attempt); err != nil && !strings.Contains(err.Error(), "spec.requester") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
