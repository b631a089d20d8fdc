// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

func load(t testing.TB) *Catalog {
	t.Helper()
	catalog, err := LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

// sample fills every parameter that has no default.
func sample(entry *Entry) map[string]string {
	values := map[string]string{}
	for _, p := range entry.Parameters {
		if p.Default == "" {
			values[p.Name] = "idp.example.com"
		}
	}
	return values
}

func TestEveryCatalogueFileIsComplete(t *testing.T) {
	catalog := load(t)
	programs, err := newAccounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range catalog.Names() {
		t.Run(name, func(t *testing.T) {
			entry, _ := catalog.Entry(name)
			if entry.DisplayName == "" || len(entry.Notes) == 0 || entry.Spec.Account == "" {
				t.Error("displayName, notes and spec.account are needed")
			}
			if u, err := url.Parse(entry.Documentation); err != nil || u.Scheme != "https" || u.Host == "" {
				t.Errorf("documentation is %q", entry.Documentation)
			}
			if entry.Spec.Preset != "" || len(entry.Spec.Parameters) > 0 {
				t.Error("a preset is not built on another")
			}
			if entry.Spec.Refresh == nil || entry.Spec.Refresh.Rotation == "" || entry.Spec.ClientAuthentication == "" {
				t.Error("spec.refresh.rotation and spec.clientAuthentication are needed")
			}
			if _, err := programs.compile(entry.Spec.Account); err != nil {
				t.Errorf("account: %v", err)
			}
		})
	}
}

func TestEveryPresetGivesPublicAddresses(t *testing.T) {
	catalog := load(t)
	for _, name := range catalog.Names() {
		t.Run(name, func(t *testing.T) {
			entry, _ := catalog.Entry(name)
			spec := &v1alpha1.ProviderSpec{Preset: name, Parameters: sample(entry)}
			merged, _, err := applyPreset(catalog, spec, origin{})
			if err != nil {
				t.Fatal(err)
			}
			if err := checkSpec(egress.Policy{}, merged, origin{}); err != nil {
				t.Error(err)
			}
			if merged.Issuer == "" && (merged.Endpoints.Authorization == "" || merged.Endpoints.Token == "") {
				t.Error("neither issuer nor endpoints")
			}
		})
	}
}

func TestEveryParameterIsDescribedAndUsed(t *testing.T) {
	catalog := load(t)
	for _, name := range catalog.Names() {
		entry, _ := catalog.Entry(name)
		addresses := string(entry.Spec.Issuer)
		if e := entry.Spec.Endpoints; e != nil {
			addresses += string(e.Authorization + e.Token + e.Revocation + e.UserInfo)
		}
		for _, p := range entry.Parameters {
			if p.Description == "" || !strings.Contains(addresses, "{"+p.Name+"}") {
				t.Errorf("%s: parameter %s is not described or not used", name, p.Name)
			}
			if p.Default != "" && !p.allows(p.Default) {
				t.Errorf("%s: the default of %s is not allowed", name, p.Name)
			}
		}
	}
}

func TestAParameterNeverLeadsToAnotherHost(t *testing.T) {
	catalog := load(t)
	smuggled := []string{
		"", "evil.com/", "evil.com/x", "a@evil.com", "a#", "a?b", "..", "a/../b", "a..b", "a\\b", "a b", "a\n", "a%2f", "{host}",
		"https://evil.com", "//evil.com", "a:b@c", "évil.com", "a\x00", ".", "-", strings.Repeat("a", 300),
	}
	for _, name := range catalog.Names() {
		entry, _ := catalog.Entry(name)
		for _, p := range entry.Parameters {
			for _, value := range smuggled {
				if p.allows(value) {
					t.Errorf("%s: %s takes %q", name, p.Name, value)
				}
			}
		}
	}
}

func FuzzParametersKeepTheHost(f *testing.F) {
	for _, seed := range []string{"a", "evil.com/", "@", "..", "a:1", "common"} {
		f.Add(seed)
	}
	catalog := load(f)
	f.Fuzz(func(t *testing.T, value string) {
		merged, _, err := applyPreset(catalog, &v1alpha1.ProviderSpec{
			Preset: "microsoft-entra", Parameters: map[string]string{"tenant": value},
		}, origin{})
		if err != nil {
			return
		}
		u, err := url.Parse(string(merged.Endpoints.Token))
		if err != nil || u.Host != "login.microsoftonline.com" || strings.Count(u.Path, "/") != 4 || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q gives %s", value, merged.Endpoints.Token)
		}
	})
}

func TestCatalogueFilesAreReadStrictly(t *testing.T) {
	for name, raw := range map[string]string{
		"unknown field":        "displayName: X\nspec: {isuer: https://a.example}",
		"field twice":          "displayName: X\ndisplayName: Y",
		"pattern that is none": "parameters: [{name: a, description: b, pattern: '('}]",
	} {
		if _, err := parseEntry([]byte(raw)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestThePresetsOfThisVersion(t *testing.T) {
	want := []string{"auth0", "github", "gitlab", "google", "keycloak", "microsoft-entra", "okta"}
	if got := load(t).Names(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
