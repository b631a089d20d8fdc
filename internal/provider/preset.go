// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// maxShown bounds what of a spec is repeated in a message.
const maxShown = 128

// applyPreset returns spec laid over the preset it names, with the preset's parameters filled in.
func applyPreset(presets *catalog.Catalog, spec *v1alpha1.ProviderSpec, at origin) (*v1alpha1.ProviderSpec, string, error) {
	entry, found := presets.Entry(spec.Preset)
	if !found {
		return nil, "", at.errorf(v1alpha1.ReasonProviderInvalid, "preset",
			"there is no preset %q%s; see those that there are: kubectl oauth providers; or describe the provider by issuer or endpoints",
			printable(spec.Preset, maxShown), similar(presets, spec.Preset))
	}
	merged := merge(&entry.Spec, spec)
	endpoints := v1alpha1.Endpoints{}
	if merged.Endpoints != nil {
		endpoints = *merged.Endpoints
	}
	merged.Endpoints = &endpoints
	audience := v1alpha1.EndpointURL(merged.AssertionAudience)
	addresses := []*v1alpha1.EndpointURL{&merged.Issuer, &audience}
	for _, field := range endpointFields(&endpoints) {
		addresses = append(addresses, field.address)
	}
	if err := fill(entry, addresses, spec.Parameters, at); err != nil {
		return nil, "", err
	}
	merged.AssertionAudience = string(audience)
	return merged, entry.DisplayName, nil
}

// similar suggests presets that begin alike.
func similar(presets *catalog.Catalog, name string) string {
	const alike = 3
	var names []string
	for _, known := range presets.Names() {
		if len(name) >= alike && strings.HasPrefix(known, name[:alike]) {
			names = append(names, known)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(names[:min(len(names), 2*alike)], ", ") + "?)"
}

// fill replaces {name} by the parameter's value or default. A parameter that no address mentions
// any more, because the spec replaced that address, need not be given.
func fill(e *catalog.Entry, addresses []*v1alpha1.EndpointURL, values map[string]string, at origin) error {
	for name := range values {
		if _, declared := e.Parameter(name); !declared {
			return at.errorf(v1alpha1.ReasonProviderInvalid, "parameters",
				"the preset has no parameter %q; %s", printable(name, maxShown), e.Declared())
		}
	}
	for i := range e.Parameters {
		p := &e.Parameters[i]
		value, given := values[p.Name]
		if !given {
			value = p.Default
		}
		mentions := func(a *v1alpha1.EndpointURL) bool { return strings.Contains(string(*a), "{"+p.Name+"}") }
		switch {
		case !slices.ContainsFunc(addresses, mentions):
			continue
		case value == "":
			return at.errorf(v1alpha1.ReasonProviderInvalid, "parameters."+p.Name,
				"the preset needs a value: %s", p.Description)
		case !p.Allows(value):
			return at.errorf(v1alpha1.ReasonProviderInvalid, "parameters."+p.Name,
				"%q is not a value it can have: %s", printable(value, maxShown), p.Description)
		}
		for _, address := range addresses {
			*address = v1alpha1.EndpointURL(strings.ReplaceAll(string(*address), "{"+p.Name+"}", value))
		}
	}
	return nil
}
