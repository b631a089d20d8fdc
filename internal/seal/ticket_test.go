// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestATicketOpensUntilItExpires(t *testing.T) {
	k, _ := openFrom(t, &store{keyset: newKeyset(t)})
	long := strings.Repeat("n", 253)
	want := Ticket{Namespace: strings.Repeat("s", 63), Name: long, UID: "0f1d9d0c-0b1e-4f4e-9b0e-0d4d5e0a5b9c", Expires: noon}
	text, err := k.SealTicket(want)
	if err != nil {
		t.Fatal(err)
	}
	if url.QueryEscape(text) != text {
		t.Errorf("%q needs escaping in a URL", text)
	}
	got, err := k.OpenTicket(t.Context(), text, noon.Add(-time.Nanosecond))
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v: %s", err, cmp.Diff(want, got))
	}
	if _, err := k.OpenTicket(t.Context(), text, noon); !errors.Is(err, ErrExpired) {
		t.Errorf("at its expiry: got %v", err)
	}
}

func TestOnlyTicketsAreTickets(t *testing.T) {
	k, _ := openFrom(t, &store{keyset: newKeyset(t)})
	text, err := k.SealTicket(Ticket{Name: "n", Expires: noon})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := k.Seal(PurposeFlow, "", []byte(`{"name":"n","exp":"2040-01-01T00:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	last := text[:len(text)-1]
	for name, forged := range map[string]string{
		"empty":      "",
		"not base64": "!" + text[1:],
		"padded":     text + "=",
		"newline":    text + "\n",
		"cut":        last,
		"long":       strings.Repeat("A", maxText+1),
		"a cookie":   base64.RawURLEncoding.EncodeToString(cookie),
	} {
		if _, err := k.OpenTicket(t.Context(), forged, noon.Add(-time.Hour)); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzOpenTicket(f *testing.F) {
	k, _ := openFrom(f, &store{keyset: newKeyset(f)})
	text, err := k.SealTicket(Ticket{Name: "n", Expires: noon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add(text[1:])
	f.Add("AQAAAAA")
	f.Fuzz(func(t *testing.T, forged string) {
		if _, err := k.OpenTicket(t.Context(), forged, noon.Add(-time.Hour)); err == nil && forged != text {
			t.Errorf("%q is a ticket", forged)
		}
	})
}
