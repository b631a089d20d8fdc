// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// minPresets is what the catalogue promises.
const minPresets = 100

// loaded is the catalogue, read once for all tests.
var loaded = sync.OnceValues(catalog.Load)

func load(t testing.TB) *catalog.Catalog {
	t.Helper()
	presets, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return presets
}

// eachPreset runs a test for each file of the catalogue.
func eachPreset(t *testing.T, test func(t *testing.T, name string, entry *catalog.Entry)) {
	t.Helper()
	presets := load(t)
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		t.Run(name, func(t *testing.T) { test(t, name, entry) })
	}
}

func TestTheCatalogueHasAHundredProviders(t *testing.T) {
	if n := len(load(t).Names()); n < minPresets {
		t.Errorf("there are %d", n)
	}
}

func TestEveryCatalogueFileSaysWhatPeopleNeed(t *testing.T) {
	categories := catalog.Categories()
	file := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	eachPreset(t, func(t *testing.T, name string, entry *catalog.Entry) {
		if !file.MatchString(name) {
			t.Error("the file's name: lower case, digits and dashes only")
		}
		if entry.DisplayName == "" || len(entry.DisplayName) > 48 {
			t.Error("displayName: it is empty or longer than 48 characters")
		}
		if u, err := url.Parse(entry.Documentation); err != nil || u.Scheme != "https" || u.Host == "" || strings.Contains(entry.Documentation, "NangoHQ") {
			t.Errorf("documentation: %q is no https address of the provider", entry.Documentation)
		}
		if _, err := time.Parse(time.DateOnly, entry.Checked); err != nil {
			t.Errorf("checked: %q is no day such as 2026-11-22", entry.Checked)
		}
		if !slices.Contains(categories, entry.Category) {
			t.Errorf("category: %q is none of %v", entry.Category, categories)
		}
		if n := len(entry.Notes); n < 1 || n > 6 {
			t.Errorf("notes: there are %d, want 1 to 6", n)
		}
		for i, note := range entry.Notes {
			if !strings.HasSuffix(note, ".") || len(note) > 400 {
				t.Errorf("notes[%d]: sentences with a full stop, of at most 400 characters", i)
			}
		}
		for _, p := range entry.Parameters {
			if p.Description == "" || strings.HasSuffix(p.Description, ".") {
				t.Errorf("parameters.%s.description: a noun phrase without a full stop", p.Name)
			}
			if p.Name == "token" || p.Name == "client_id" {
				t.Errorf("parameters.%s: the name means something else in endpoints.revocation", p.Name)
			}
		}
	})
}

func TestEveryCatalogueFilesGrantsHaveTheirEndpoints(t *testing.T) {
	eachPreset(t, func(t *testing.T, _ string, entry *catalog.Entry) {
		e := v1alpha1.Endpoints{}
		if entry.Spec.Endpoints != nil {
			e = *entry.Spec.Endpoints
		}
		discovered := entry.Spec.Issuer != ""
		if !discovered && e.Token == "" {
			t.Error("spec: neither issuer nor endpoints.token")
		}
		for _, grant := range entry.Grants {
			if _, known := oauth.GrantFor(string(grant)); !known {
				t.Errorf("grants: there is no grant %s", grant)
			}
			if grant == v1alpha1.GrantAuthorizationCode && !discovered && e.Authorization == "" {
				t.Error("spec.endpoints.authorization: it is missing, and grants has AuthorizationCode")
			}
			if grant == v1alpha1.GrantDeviceCode && !discovered && e.DeviceAuthorization == "" {
				t.Error("spec.endpoints.deviceAuthorization: it is missing, and grants has DeviceCode")
			}
		}
		switch entry.Redirect {
		case "", v1alpha1.RedirectHosted:
		case v1alpha1.RedirectLoopback:
			if entry.Spec.PKCE == none {
				t.Error("redirect: Loopback needs PKCE, and spec.pkce is None")
			}
		default:
			t.Errorf("redirect: %q is neither Hosted nor Loopback", entry.Redirect)
		}
		if entry.Spec.ClientAuthentication == "" {
			t.Error("spec.clientAuthentication: it has to be pinned")
		}
		if entry.Spec.Preset != "" || len(entry.Spec.Parameters) > 0 {
			t.Error("spec.preset, spec.parameters: a preset is not built on another")
		}
	})
}

func TestEveryCatalogueFileResolvesToPublicAddresses(t *testing.T) {
	presets := load(t)
	expressions, err := newExpressions()
	if err != nil {
		t.Fatal(err)
	}
	eachPreset(t, func(t *testing.T, name string, entry *catalog.Entry) {
		spec := &v1alpha1.ProviderSpec{Preset: name, Parameters: sample(t, entry)}
		merged, _, err := applyPreset(presets, spec, origin{})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkSpec(egress.Policy{}, merged, origin{field: "spec."}); err != nil {
			t.Error(err)
		}
		if _, err := expressions.programs(merged, time.Now, origin{field: "spec."}); err != nil {
			t.Error(err)
		}
	})
}

// sample fills every parameter that has no default with something that its pattern takes.
func sample(t *testing.T, entry *catalog.Entry) map[string]string {
	values := map[string]string{}
	for i := range entry.Parameters {
		p := &entry.Parameters[i]
		if p.Default != "" {
			continue
		}
		candidates := []string{"idp.example.com", "example", "eu-central-1", "1234567", "a1b2c3d4-e5f6-4a1b-8c2d-3e4f5a6b7c8d"}
		if parsed, err := syntax.Parse(p.Pattern, syntax.Perl); err == nil && p.Pattern != "" {
			candidates = append(candidates, shortest(parsed.Simplify()))
		}
		j := slices.IndexFunc(candidates, p.Allows)
		if j < 0 {
			t.Errorf("parameters.%s.pattern: none of %q fits", p.Name, candidates)
			continue
		}
		values[p.Name] = candidates[j]
	}
	return values
}

// shortest is a text that an expression matches.
func shortest(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		if slices.Contains(re.Rune, 'a') {
			return "a"
		}
		return string(re.Rune[0])
	case syntax.OpConcat:
		text := ""
		for _, sub := range re.Sub {
			text += shortest(sub)
		}
		return text
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return shortest(re.Sub[0])
	}
	return ""
}

// The protocol's parameters that a request can have under another name.
const (
	authorizationNames = "response_type client_id redirect_uri scope nonce code_challenge code_challenge_method"
	tokenNames         = "grant_type client_id client_secret client_assertion client_assertion_type code redirect_uri code_verifier " +
		"refresh_token scope device_code assertion subject_token subject_token_type requested_token_type"
	revocationNames = "token token_type_hint client_id client_secret client_assertion client_assertion_type"
)

func TestEveryCatalogueFileRenamesWhatThereIs(t *testing.T) {
	eachPreset(t, func(t *testing.T, _ string, entry *catalog.Entry) {
		known := func(field, names string, renamed v1alpha1.ParamNames) {
			for _, name := range slices.Sorted(maps.Keys(renamed)) {
				if !slices.Contains(strings.Fields(names), name) {
					t.Errorf("%s: %q is no parameter of the protocol there", field, name)
				}
			}
		}
		if r := entry.Spec.AuthorizationRequest; r != nil {
			known("spec.authorizationRequest.rename", authorizationNames, r.Rename)
		}
		if r := entry.Spec.TokenRequest; r != nil {
			known("spec.tokenRequest.rename", tokenNames, r.Rename)
		}
		if r := entry.Spec.RevocationRequest; r != nil {
			known("spec.revocationRequest.rename", revocationNames, r.Rename)
		}
		for i, rule := range entry.Spec.Errors {
			for j, earlier := range entry.Spec.Errors[:i] {
				if (earlier.Code == "" || earlier.Code == rule.Code) && strings.Contains(rule.Contains, earlier.Contains) {
					t.Errorf("spec.errors[%d]: errors[%d] always comes first", i, j)
				}
			}
			if strings.HasSuffix(rule.Cause, ".") || strings.HasSuffix(rule.Next, ".") {
				t.Errorf("spec.errors[%d]: cause and next have no full stop", i)
			}
		}
	})
}

func TestNoTwoCatalogueFilesAreTheSame(t *testing.T) {
	names, specs := map[string]string{}, map[string]string{}
	eachPreset(t, func(t *testing.T, name string, entry *catalog.Entry) {
		if other := names[strings.ToLower(entry.DisplayName)]; other != "" {
			t.Errorf("displayName: it is that of %s", other)
		}
		names[strings.ToLower(entry.DisplayName)] = name
		// Several presets of one server are fine where they differ in what they ask for or keep.
		spec := entry.Spec.DeepCopy()
		spec.Errors = nil
		raw, err := json.Marshal([]any{spec, entry.Grants})
		if err != nil {
			t.Fatal(err)
		}
		if other := specs[string(raw)]; other != "" {
			t.Errorf("spec: it is that of %s", other)
		}
		specs[string(raw)] = name
	})
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
