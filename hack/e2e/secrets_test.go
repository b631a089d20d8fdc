// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	// keyLength is how much of a needle is compared first, in bytes.
	keyLength = 12
	// minSecret is the length below which a value could be found by chance.
	minSecret = 16
)

// nothingSecretWasSaid searches everything that people can read for everything they must not.
func (e *evidence) nothingSecretWasSaid(t *testing.T) {
	if len(e.secrets) == 0 {
		t.Skip("no story was told")
	}
	for _, log := range e.logs {
		e.add("log", log())
	}
	h, proofs := newHaystack(e.secrets), newHaystack(e.proofs)
	for source, text := range e.said {
		leaks := h.search(text)
		if source != "page" {
			leaks = append(leaks, proofs.search(text)...)
		}
		for _, leak := range leaks {
			t.Errorf("in %s: %s", source, leak)
		}
		t.Logf("%s: %.1f MB", source, float64(len(text))/1e6)
	}
	want := append(slices.Collect(maps.Keys(watched())), "log", "metrics", "page", "plugin")
	if !e.complete { // one story alone need not see all kinds
		want = []string{"OAuthConnection", "log", "metrics", "page"}
	}
	for _, source := range want {
		if len(e.said[source]) == 0 {
			t.Errorf("there is no %s to search in", source)
		}
	}
	t.Logf("%d secrets in %d forms", len(e.secrets)+len(e.proofs), h.size+proofs.size)
}

// needle is a secret in one of the forms in which it could be said.
type needle struct{ text, form string }

// haystack finds many needles at once, by their first bytes.
type haystack struct {
	byKey map[[keyLength]byte][]needle
	size  int
}

func newHaystack(secrets []string) *haystack {
	h := &haystack{byKey: map[[keyLength]byte][]needle{}}
	secrets = slices.Clone(secrets)
	slices.Sort(secrets)
	for _, secret := range slices.Compact(secrets) {
		for _, part := range parts(secret) {
			for text, form := range forms(part) {
				key := [keyLength]byte([]byte(text))
				h.byKey[key] = append(h.byKey[key], needle{text, form})
				h.size++
			}
		}
	}
	return h
}

// parts are a value, or a JWT's claims and signature: its header says nothing.
func parts(secret string) []string {
	all := []string{secret}
	if segments := strings.Split(secret, "."); len(segments) == 3 && strings.HasPrefix(secret, "eyJ") {
		all = segments[1:]
	}
	return slices.DeleteFunc(all, func(s string) bool { return len(s) < minSecret })
}

// forms are the ways to write a secret: as it is, within an address, within a string of Go or JSON, and
// each of these within something that was encoded as base64.
func forms(secret string) map[string]string {
	all := map[string]string{}
	for _, text := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(strconv.Quote(secret), `"`)} {
		all[text] = "in plain text"
		for _, encoded := range inBase64(text) {
			all[encoded] = "as base64"
		}
	}
	return all
}

// inBase64 is what a text always looks like within base64: it begins at one of three places, and what
// is before and after it shares its first and last characters.
func inBase64(text string) []string {
	var all []string
	for before := range 3 {
		padded := []byte(strings.Repeat(" ", before) + text)
		whole := padded[:len(padded)/3*3]
		first := (before + 2) / 3 * 4
		all = append(all, base64.StdEncoding.EncodeToString(whole)[first:], base64.URLEncoding.EncodeToString(whole)[first:])
	}
	return all
}

// search describes each needle found, without saying it.
func (h *haystack) search(text []byte) []string {
	var leaks []string
	for i := range max(0, len(text)-keyLength+1) {
		for _, n := range h.byKey[[keyLength]byte(text[i:])] {
			if strings.HasPrefix(string(text[i:min(len(text), i+len(n.text))]), n.text) {
				before := text[max(0, i-80):i]
				leaks = append(leaks, fmt.Sprintf("a secret of %d bytes %s, after …%s", len(n.text), n.form, before))
			}
		}
	}
	return leaks
}

func TestASecretIsFoundInEveryForm(t *testing.T) {
	const secret = "MZXW6YTBOI/+:&%GEZDGNBVGY3TQ"
	const token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImF1ZCI6ImUyZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	h := newHaystack([]string{secret, token})
	for name, text := range map[string]string{
		"as it is":        "before " + secret + " after",
		"alone":           secret,
		"in an address":   "https://example.com/?" + url.Values{"code": {secret}}.Encode(),
		"in base64":       base64.StdEncoding.EncodeToString([]byte(secret)),
		"in base64 at 1":  base64.StdEncoding.EncodeToString([]byte("x" + secret + "y")),
		"in base64 at 2":  base64.RawURLEncoding.EncodeToString([]byte("xx" + secret)),
		"Basic":           base64.StdEncoding.EncodeToString([]byte("e2e:" + url.QueryEscape(secret))),
		"a token":         `{"id_token":"` + token + `"}`,
		"a token's claim": "claims eyJzdWIiOiJhbGljZSIsImF1ZCI6ImUyZSJ9",
	} {
		if len(h.search([]byte(text))) == 0 {
			t.Errorf("not found: %s", name)
		}
	}
	if leaks := h.search([]byte("eyJhbGciOiJub25lIn0 is a header; " + secret[1:])); len(leaks) > 0 {
		t.Errorf("found where it is not: %q", leaks)
	}
}
