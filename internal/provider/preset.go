// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// maxShown bounds what of a spec is repeated in a message.
const maxShown = 128

// merge lays spec over the preset, field by field. An issuer of its own drops the preset's
// endpoints: they belong to another server.
func merge(preset, spec *v1alpha1.ProviderSpec) *v1alpha1.ProviderSpec {
	m := preset.DeepCopy()
	if spec.Issuer != "" {
		m.Issuer, m.Endpoints = spec.Issuer, nil
	}
	m.Preset, m.Parameters = spec.Preset, spec.Parameters
	m.Endpoints = mergeEndpoints(m.Endpoints, spec.Endpoints)
	override(&m.ClientAuthentication, spec.ClientAuthentication)
	override(&m.PKCE, spec.PKCE)
	override(&m.Account, spec.Account)
	m.Scopes = mergeScopes(m.Scopes, spec.Scopes)
	m.AuthorizationParams = mergeParams(m.AuthorizationParams, spec.AuthorizationParams)
	m.TokenParams = mergeParams(m.TokenParams, spec.TokenParams)
	m.RefreshParams = mergeParams(m.RefreshParams, spec.RefreshParams)
	m.Refresh = mergeRefresh(m.Refresh, spec.Refresh)
	return m
}

func override[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

func mergeEndpoints(base, over *v1alpha1.Endpoints) *v1alpha1.Endpoints {
	if base == nil || over == nil {
		return orEither(base, over)
	}
	m := *base
	override(&m.Authorization, over.Authorization)
	override(&m.Token, over.Token)
	override(&m.Revocation, over.Revocation)
	override(&m.UserInfo, over.UserInfo)
	return &m
}

func mergeScopes(base, over *v1alpha1.ScopeRules) *v1alpha1.ScopeRules {
	if base == nil || over == nil {
		return orEither(base, over)
	}
	m := *base
	override(&m.Separator, over.Separator)
	if len(over.Required) > 0 {
		m.Required = over.Required
	}
	if len(over.Default) > 0 {
		m.Default = over.Default
	}
	return &m
}

func mergeRefresh(base, over *v1alpha1.RefreshRules) *v1alpha1.RefreshRules {
	if base == nil || over == nil {
		return orEither(base, over)
	}
	m := *base
	override(&m.Rotation, over.Rotation)
	override(&m.RetryWindow, over.RetryWindow)
	override(&m.TokenLifetime, over.TokenLifetime)
	override(&m.Earliest, over.Earliest)
	return &m
}

func orEither[T any](base, over *T) *T {
	if over != nil {
		return over
	}
	return base
}

func mergeParams(base, over map[string]string) map[string]string {
	if len(base) == 0 {
		return over
	}
	m := maps.Clone(base)
	maps.Copy(m, over)
	return m
}

// applyPreset returns spec laid over the preset it names, with every placeholder filled in.
func applyPreset(presets *catalog.Catalog, spec *v1alpha1.ProviderSpec, at origin) (*v1alpha1.ProviderSpec, string, error) {
	entry, found := presets.Entry(spec.Preset)
	if !found {
		return nil, "", at.errorf(v1alpha1.ReasonProviderInvalid, "preset",
			"there is no preset %q; use one of %s, or describe the provider by issuer or endpoints",
			printable(spec.Preset, maxShown), strings.Join(presets.Names(), ", "))
	}
	merged := merge(&entry.Spec, spec)
	if merged.Endpoints == nil {
		merged.Endpoints = &v1alpha1.Endpoints{}
	} else {
		merged.Endpoints = merged.Endpoints.DeepCopy()
	}
	addresses := []*v1alpha1.EndpointURL{
		&merged.Issuer, &merged.Endpoints.Authorization, &merged.Endpoints.Token,
		&merged.Endpoints.Revocation, &merged.Endpoints.UserInfo,
	}
	if err := fill(entry, addresses, spec.Parameters, at); err != nil {
		return nil, "", err
	}
	return merged, entry.DisplayName, nil
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
