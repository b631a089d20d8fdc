// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
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
func applyPreset(catalog *Catalog, spec *v1alpha1.ProviderSpec, at origin) (*v1alpha1.ProviderSpec, string, error) {
	entry, found := catalog.Entry(spec.Preset)
	if !found {
		return nil, "", at.errorf(v1alpha1.ReasonProviderInvalid, "preset",
			"there is no preset %q; use one of %s, or describe the provider by issuer or endpoints",
			printable(spec.Preset, maxShown), strings.Join(catalog.Names(), ", "))
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
	if err := entry.fill(addresses, spec.Parameters, at); err != nil {
		return nil, "", err
	}
	return merged, entry.DisplayName, nil
}

// fill replaces {name} by the parameter's value or default. A parameter that no address mentions
// any more, because the spec replaced that address, need not be given.
func (e *Entry) fill(addresses []*v1alpha1.EndpointURL, values map[string]string, at origin) error {
	for name := range values {
		if !slices.ContainsFunc(e.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return at.errorf(v1alpha1.ReasonProviderInvalid, "parameters",
				"the preset has no parameter %q; %s", printable(name, maxShown), e.declared())
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
		case !p.allows(value):
			return at.errorf(v1alpha1.ReasonProviderInvalid, "parameters."+p.Name,
				"%q is not a value it can have: %s", printable(value, maxShown), p.Description)
		}
		for _, address := range addresses {
			*address = v1alpha1.EndpointURL(strings.ReplaceAll(string(*address), "{"+p.Name+"}", value))
		}
	}
	return nil
}

func (e *Entry) declared() string {
	if len(e.Parameters) == 0 {
		return "it has none"
	}
	names := make([]string, 0, len(e.Parameters))
	for _, p := range e.Parameters {
		names = append(names, p.Name)
	}
	return "it has " + strings.Join(names, ", ")
}

// allows holds a value to the parameter's pattern and, whatever a catalogue file's pattern says, to
// characters that cannot end a host or a path segment.
func (p *Parameter) allows(value string) bool {
	return p.matches.MatchString(value) && plain(value, "._~:-") && !strings.Contains(value, "..")
}
