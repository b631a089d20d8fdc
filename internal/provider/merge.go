// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"net/textproto"
	"slices"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// merge lays spec over the preset, field by field; neither is changed. An issuer of its own drops the
// preset's endpoints: they belong to another server.
func merge(preset, spec *v1alpha1.ProviderSpec) *v1alpha1.ProviderSpec {
	m := *preset
	if spec.Issuer != "" {
		m.Issuer, m.Endpoints = spec.Issuer, nil
	}
	m.Preset, m.Parameters = spec.Preset, spec.Parameters
	override(&m.ClientAuthentication, spec.ClientAuthentication)
	override(&m.PKCE, spec.PKCE)
	override(&m.PushedAuthorization, spec.PushedAuthorization)
	override(&m.AssertionAudience, spec.AssertionAudience)
	override(&m.Account, spec.Account)
	for _, params := range []struct {
		field *v1alpha1.RequestParams
		over  v1alpha1.RequestParams
	}{
		{&m.AuthorizationParams, spec.AuthorizationParams},
		{&m.TokenParams, spec.TokenParams},
		{&m.ExchangeParams, spec.ExchangeParams},
		{&m.RefreshParams, spec.RefreshParams},
	} {
		*params.field = mergeMap(*params.field, params.over)
	}
	mergeEach(&m.Endpoints, spec.Endpoints, mergeEndpoints)
	mergeEach(&m.Scopes, spec.Scopes, mergeScopes)
	mergeEach(&m.AuthorizationRequest, spec.AuthorizationRequest, mergeAuthorizationRequest)
	mergeEach(&m.AuthorizationResponse, spec.AuthorizationResponse, mergeAuthorizationResponse)
	mergeEach(&m.TokenRequest, spec.TokenRequest, mergeTokenRequest)
	mergeEach(&m.TokenResponse, spec.TokenResponse, mergeTokenResponse)
	mergeEach(&m.RevocationRequest, spec.RevocationRequest, mergeRevocationRequest)
	mergeEach(&m.Refresh, spec.Refresh, mergeRefresh)
	m.Metadata = mergeMetadata(m.Metadata, spec.Metadata)
	// The first that matches counts, and what was written by hand knows better.
	m.Errors = slices.Concat(spec.Errors, m.Errors)
	return &m
}

func override[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// mergeEach replaces what field points to, where there is something on both sides, by a copy that lay
// puts over on.
func mergeEach[T any](field **T, over *T, lay func(copied, over *T)) {
	switch {
	case over == nil:
	case *field == nil:
		*field = over
	default:
		m := **field
		lay(&m, over)
		*field = &m
	}
}

func mergeMap[M ~map[string]string](base, over M) M {
	if len(base) == 0 {
		return over
	}
	if len(over) == 0 {
		return base
	}
	m := maps.Clone(base)
	maps.Copy(m, over)
	return m
}

// mergeHeaders gives the names their canonical form: they are the same in any case.
func mergeHeaders(base, over v1alpha1.RequestHeaders) v1alpha1.RequestHeaders {
	return mergeMap(canonical(base), canonical(over))
}

func canonical(headers v1alpha1.RequestHeaders) v1alpha1.RequestHeaders {
	m := make(v1alpha1.RequestHeaders, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		m[textproto.CanonicalMIMEHeaderKey(name)] = headers[name]
	}
	return m
}

func mergeEndpoints(m, over *v1alpha1.Endpoints) {
	fields := endpointFields(m)
	for i, field := range endpointFields(over) {
		override(fields[i].address, *field.address)
	}
}

func mergeScopes(m, over *v1alpha1.ScopeRules) {
	override(&m.Separator, over.Separator)
	if len(over.Required) > 0 {
		m.Required = over.Required
	}
	if len(over.Default) > 0 {
		m.Default = over.Default
	}
}

func mergeAuthorizationRequest(m, over *v1alpha1.AuthorizationRequestRules) {
	m.Rename = mergeMap(m.Rename, over.Rename)
}

func mergeAuthorizationResponse(m, over *v1alpha1.AuthorizationResponseRules) {
	override(&m.Code, over.Code)
}

func mergeTokenRequest(m, over *v1alpha1.TokenRequestRules) {
	override(&m.Format, over.Format)
	m.Headers = mergeHeaders(m.Headers, over.Headers)
	m.Rename = mergeMap(m.Rename, over.Rename)
}

func mergeTokenResponse(m, over *v1alpha1.TokenResponseRules) {
	fields := responseFields(m)
	for i, field := range responseFields(over) {
		override(fields[i].expression, *field.expression)
	}
}

func mergeRevocationRequest(m, over *v1alpha1.RevocationRequestRules) {
	override(&m.Method, over.Method)
	override(&m.Format, over.Format)
	override(&m.Authentication, over.Authentication)
	override(&m.Token, over.Token)
	m.Headers = mergeHeaders(m.Headers, over.Headers)
	m.Rename = mergeMap(m.Rename, over.Rename)
}

func mergeRefresh(m, over *v1alpha1.RefreshRules) {
	override(&m.Rotation, over.Rotation)
	override(&m.RetryWindow, over.RetryWindow)
	override(&m.TokenLifetime, over.TokenLifetime)
	override(&m.Earliest, over.Earliest)
	override(&m.IdleTimeout, over.IdleTimeout)
	override(&m.AbsoluteLifetime, over.AbsoluteLifetime)
	override(&m.GrantType, over.GrantType)
	if len(over.Repeat) > 0 {
		m.Repeat = over.Repeat
	}
}

// mergeMetadata replaces rules of the same name.
func mergeMetadata(base, over []v1alpha1.MetadataRule) []v1alpha1.MetadataRule {
	m := slices.Clone(base)
	for _, rule := range over {
		same := func(r v1alpha1.MetadataRule) bool { return r.Name == rule.Name }
		if i := slices.IndexFunc(m, same); i >= 0 {
			m[i] = rule
		} else {
			m = append(m, rule)
		}
	}
	return m
}
