// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const none = "None"

// server makes the provider's half of an oauth.Client. What was written wins over what was found.
func (r *Resolver) server(spec *v1alpha1.ProviderSpec, found *metadata, answers *translation, certificate bool) oauth.Client {
	c := oauth.Client{
		Issuer:              string(spec.Issuer),
		Endpoints:           found.endpoints(certificate),
		IssInResponse:       found.IssInResponse,
		PKCE:                spec.PKCE != none,
		AuthorizationParams: spec.AuthorizationParams,
		TokenParams:         spec.TokenParams,
		ExchangeParams:      spec.ExchangeParams,
		RefreshParams:       spec.RefreshParams,
		Dialect:             dialect(spec, answers),
		Errors:              errorRules(spec.Errors),
		Rotation:            oauth.Unknown,
		HTTP:                r.HTTP,
		Clock:               r.Clock.Now,
	}
	if spec.Endpoints != nil {
		written := endpointFields(spec.Endpoints)
		for i, address := range addressesOf(&c.Endpoints) {
			override(address, string(*written[i].address))
		}
	}
	if spec.PushedAuthorization == none {
		c.Endpoints.PushedAuthorizationRequest = ""
	}
	if spec.Scopes != nil {
		c.ScopeSeparator = spec.Scopes.Separator
	}
	if rules := spec.Refresh; rules != nil {
		override(&c.Rotation, oauth.Rotation(rules.Rotation))
		c.RetryWindow = duration(rules.RetryWindow)
		c.TokenLifetime = duration(rules.TokenLifetime)
		c.Earliest = duration(rules.Earliest)
		c.IdleTimeout = duration(rules.IdleTimeout)
		c.AbsoluteLifetime = duration(rules.AbsoluteLifetime)
	}
	return c
}

func duration(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return max(d.Duration, 0)
}

// dialect is where a description departs from the RFCs.
func dialect(spec *v1alpha1.ProviderSpec, answers *translation) oauth.Dialect {
	d := oauth.Dialect{}
	if answers != nil {
		d.Read = answers.read
	}
	if r := spec.AuthorizationRequest; r != nil {
		d.AuthorizationNames = r.Rename
	}
	if r := spec.AuthorizationResponse; r != nil {
		d.Code = r.Code
	}
	if r := spec.TokenRequest; r != nil {
		d.JSON, d.Headers, d.TokenNames = r.Format == v1alpha1.BodyJSON, canonical(r.Headers), r.Rename
	}
	if r := spec.Refresh; r != nil {
		d.RefreshGrantType = r.GrantType
		d.RepeatRedirectURI = slices.Contains(r.Repeat, "redirect_uri")
		d.RepeatScope = slices.Contains(r.Repeat, "scope")
	}
	if r := spec.RevocationRequest; r != nil {
		d.Revocation = oauth.Revocation{
			Method: r.Method, JSON: r.Format == v1alpha1.BodyJSON, Authentication: r.Authentication,
			AccessToken: r.Token == "AccessToken", Headers: canonical(r.Headers), Names: r.Rename,
		}
	}
	return d
}

// errorRules take their words from a description, which people are then shown.
func errorRules(written []v1alpha1.ErrorRule) []oauth.ErrorRule {
	rules := make([]oauth.ErrorRule, 0, len(written))
	for _, rule := range written {
		rules = append(rules, oauth.ErrorRule{
			Code: rule.Code, Contains: rule.Contains, Kind: kindFor(rule.Means),
			Cause: printable(rule.Cause, 2*maxShown), Next: printable(rule.Next, 2*maxShown),
		})
	}
	return rules
}

func kindFor(meaning v1alpha1.ErrorMeaning) oauth.Kind {
	switch meaning {
	case v1alpha1.ErrorGrantEnded:
		return oauth.Reauthorize
	case v1alpha1.ErrorClientRejected:
		return oauth.ClientRejected
	case v1alpha1.ErrorRequestRejected:
		return oauth.Misconfigured
	case v1alpha1.ErrorThrottled:
		return oauth.Throttled
	case v1alpha1.ErrorTransient:
		return oauth.Transient
	}
	return 0
}

func undiscovered(err error, s *source, d *description) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return unavailable("the provider's metadata", err)
	}
	e := s.providerAt.errorf(f.reason, "issuer", "%s: %s", printable(string(d.spec.Issuer), 2*maxShown), f.cause)
	e.Retry = f.retry
	return e
}

// checkEndpoints asks for those that the grant needs.
func checkEndpoints(resolved *Resolved, s *source) error {
	missing := func(field string) error {
		return s.providerAt.errorf(v1alpha1.ReasonProviderInvalid, field,
			"it is not set and the provider's metadata has none; set it to the address in the provider's documentation")
	}
	switch {
	case resolved.Endpoints.Token == "":
		return missing("endpoints.token")
	case s.grant == v1alpha1.GrantAuthorizationCode && resolved.Endpoints.Authorization == "":
		return missing("endpoints.authorization")
	case s.grant == v1alpha1.GrantDeviceCode && resolved.Endpoints.DeviceAuthorization == "":
		return missing("endpoints.deviceAuthorization")
	}
	return nil
}

// scopes are those asked for. What a provider requires (offline_access and the like) belongs to a
// person's consent, so grants without one go without it.
func scopes(s *source, rules *v1alpha1.ScopeRules) []string {
	if rules == nil {
		rules = &v1alpha1.ScopeRules{}
	}
	asked := s.scopes
	if len(asked) == 0 {
		asked = rules.Default
	}
	if s.grant.NeedsPerson() {
		asked = slices.Concat(rules.Required, asked)
	}
	var names []string
	for _, scope := range asked {
		if !slices.Contains(names, string(scope)) {
			names = append(names, string(scope))
		}
	}
	return names
}

// fingerprint covers whom the tokens belong to, every address that somebody wrote down, what may become
// part of one, and where that is taken from: a wide pattern is often safe for its expression's sake. Those
// that were only discovered are left out: the issuer vouches for them. So does the catalogue for its own: a
// release that corrects one must not cost everybody a consent. What came later is added only where it is
// used, so that older grants go on.
func fingerprint(clientID string, spec *v1alpha1.ProviderSpec) string {
	e := v1alpha1.Endpoints{}
	if spec.Endpoints != nil {
		e = *spec.Endpoints
	}
	parts := []any{spec.Issuer, clientID, e.Authorization, e.Token, e.Revocation, e.UserInfo}
	for _, later := range []struct {
		name    string
		address v1alpha1.EndpointURL
	}{
		{"refresh", e.Refresh},
		{"deviceAuthorization", e.DeviceAuthorization},
		{"pushedAuthorizationRequest", e.PushedAuthorizationRequest},
		{"introspection", e.Introspection},
	} {
		if later.address != "" {
			parts = append(parts, later.name, later.address)
		}
	}
	for _, rule := range spec.Metadata {
		if rule.Pattern != "" {
			parts = append(parts, "metadata", rule.Name, rule.Pattern, rule.Value)
		}
	}
	if spec.Preset != "" {
		parts = append(parts, "preset", spec.Preset)
	}
	if len(spec.Parameters) > 0 {
		parts = append(parts, spec.Parameters) // a map is written in order
	}
	raw, err := json.Marshal(parts)
	if err != nil { // strings always marshal
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
