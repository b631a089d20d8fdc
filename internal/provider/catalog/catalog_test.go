// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func load(t *testing.T) *Catalog {
	t.Helper()
	presets, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return presets
}

func TestEveryParameterIsDescribedAndUsed(t *testing.T) {
	presets := load(t)
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		addresses := string(entry.Spec.Issuer) + entry.Spec.AssertionAudience
		if e := entry.Spec.Endpoints; e != nil {
			addresses += string(e.Authorization + e.Token + e.Refresh + e.Revocation + e.UserInfo +
				e.DeviceAuthorization + e.PushedAuthorizationRequest + e.Introspection)
		}
		for _, p := range entry.Parameters {
			if p.Description == "" || !strings.Contains(addresses, "{"+p.Name+"}") {
				t.Errorf("%s: parameter %s is not described or not used", name, p.Name)
			}
			if p.Default != "" && !p.Allows(p.Default) {
				t.Errorf("%s: the default of %s is not allowed", name, p.Name)
			}
		}
	}
}

func TestAParameterNeverLeadsToAnotherHost(t *testing.T) {
	presets := load(t)
	smuggled := []string{
		"", "evil.com/", "evil.com/x", "a@evil.com", "a#", "a?b", "..", "a/../b", "a..b", "a\\b", "a b", "a\n", "a%2f", "{host}",
		"https://evil.com", "//evil.com", "a:b@c", "évil.com", "a\x00", ".", "-", strings.Repeat("a", 300),
	}
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		for _, p := range entry.Parameters {
			for _, value := range smuggled {
				if p.Allows(value) {
					t.Errorf("%s: %s takes %q", name, p.Name, value)
				}
			}
		}
	}
}

func TestCatalogueFilesAreReadStrictly(t *testing.T) {
	for name, raw := range map[string]string{
		"unknown field":        "displayName: X\nspec: {isuer: https://a.example}",
		"field twice":          "displayName: X\ndisplayName: Y",
		"pattern that is none": "parameters: [{name: a, description: b, pattern: '('}]",
	} {
		if _, err := parse([]byte(raw)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestPresetsOfOneProviderShareItsErrors(t *testing.T) {
	presets := load(t)
	for _, name := range []string{"azure-managed-redis", "amazon-redshift-entra"} {
		entry, _ := presets.Entry(name)
		if !slices.ContainsFunc(entry.Spec.Errors, func(e v1alpha1.ErrorRule) bool { return strings.HasPrefix(e.Contains, "AADSTS7000222") }) {
			t.Errorf("%s does not know what Microsoft Entra answers", name)
		}
	}
}
