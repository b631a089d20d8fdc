// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"net/url"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

func load(t testing.TB) *catalog.Catalog {
	t.Helper()
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return presets
}

// sample fills every parameter that has no default.
func sample(entry *catalog.Entry) map[string]string {
	values := map[string]string{}
	for _, p := range entry.Parameters {
		if p.Default == "" {
			values[p.Name] = "idp.example.com"
		}
	}
	return values
}

func TestEveryCatalogueFileIsComplete(t *testing.T) {
	presets := load(t)
	programs, err := newExpressions()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range presets.Names() {
		t.Run(name, func(t *testing.T) {
			entry, _ := presets.Entry(name)
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
			if _, err := programs.compile(ofAccount, entry.Spec.Account, cel.StringType); err != nil {
				t.Errorf("account: %v", err)
			}
		})
	}
}

func TestEveryPresetGivesPublicAddresses(t *testing.T) {
	presets := load(t)
	for _, name := range presets.Names() {
		t.Run(name, func(t *testing.T) {
			entry, _ := presets.Entry(name)
			spec := &v1alpha1.ProviderSpec{Preset: name, Parameters: sample(entry)}
			merged, _, err := applyPreset(presets, spec, origin{})
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

func FuzzParametersKeepTheHost(f *testing.F) {
	for _, seed := range []string{"a", "evil.com/", "@", "..", "a:1", "common"} {
		f.Add(seed)
	}
	presets := load(f)
	f.Fuzz(func(t *testing.T, value string) {
		merged, _, err := applyPreset(presets, &v1alpha1.ProviderSpec{
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
