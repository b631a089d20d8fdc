// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

func TestEveryProviderHasAPageThatTheListLinksTo(t *testing.T) {
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := render(presets)
	if err != nil {
		t.Fatal(err)
	}
	list := string(files["README.md"])
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		text := string(files[name+".md"])
		for _, needed := range []string{"# " + entry.DisplayName, entry.Documentation, "preset: " + name, "kind: OAuthConnection", "## What to expect"} {
			if !strings.Contains(text, needed) {
				t.Errorf("%s.md lacks %q", name, needed)
			}
		}
		if strings.Contains(text, "<no value>") {
			t.Errorf("%s.md has a hole", name)
		}
		if !strings.Contains(list, "]("+name+".md)") {
			t.Errorf("the list lacks %s", name)
		}
	}
	if len(files) != len(presets.Names())+1 {
		t.Errorf("%d files for %d providers and their list", len(files), len(presets.Names()))
	}
}

func TestDurationsAreSaidInTheLargestUnitThatFits(t *testing.T) {
	for _, c := range []struct {
		length time.Duration
		want   string
	}{{0, ""}, {time.Hour, "1 hour"}, {2160 * time.Hour, "90 days"}, {90 * time.Second, "90 seconds"}, {36 * time.Hour, "36 hours"}, {1500 * time.Millisecond, "1.5s"}} {
		if got := duration(&metav1.Duration{Duration: c.length}); got != c.want {
			t.Errorf("%s: %q, want %q", c.length, got, c.want)
		}
	}
}
