// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNearNamesAreFound(t *testing.T) {
	names := []string{"github", "github-ci", "gitlab", "google", "okta"}
	for meant, want := range map[string][]string{
		"githbu":      {"github"},
		"githob":      {"github", "gitlab"},
		"git":         {"github", "gitlab", "github-ci"},
		"gogle":       {"google"},
		"okat":        nil,
		"confluences": nil,
	} {
		if got := nearest(names, meant); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", meant, got, want)
		}
	}
}

func TestDistanceCountsLetters(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"github", "gitlab", 2}, {"abc", "abc", 0}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%s %s: got %d", test.a, test.b, got)
		}
		if distance(test.a, test.b) != distance(test.b, test.a) {
			t.Errorf("%s %s is not symmetric", test.a, test.b)
		}
	}
}

func TestARefusalNamesTheRoleThatAllowsIt(t *testing.T) {
	const who = `oauthconnections.oauth-operator.dev "x" is forbidden: User "jane" cannot `
	for refusal, want := range map[string]string{
		who + `get resource "oauthconnections" in API group "oauth-operator.dev" in the namespace "a"`:          "oauth-operator-view",
		who + `watch resource "oauthconnections" in API group "oauth-operator.dev" at the cluster scope`:        "oauth-operator-view",
		who + `create resource "oauthauthorizations" in API group "oauth-operator.dev" in the namespace "a"`:    "oauth-operator-edit",
		who + `patch resource "oauthconnections/status" in API group "oauth-operator.dev" in the namespace "a"`: "oauth-operator-edit",
		who + `get resource "secrets" in API group "" in the namespace "a"`:                                     "get secrets",
		`ValidatingAdmissionPolicy 'x' denied request: no`:                                                      "",
	} {
		got := roleFor(refusal)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", refusal, got)
		}
	}
}
