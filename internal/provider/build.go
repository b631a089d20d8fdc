// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// server makes the provider's half of an oauth.Client. What was written wins over what was found.
func (r *Resolver) server(d *description, found *metadata) oauth.Client {
	spec := d.spec
	c := oauth.Client{
		Issuer: string(spec.Issuer),
		Endpoints: oauth.Endpoints{
			Authorization: found.Authorization,
			Token:         found.Token,
			Revocation:    found.Revocation,
			UserInfo:      found.UserInfo,
		},
		IssInResponse:       found.IssInResponse,
		PKCE:                spec.PKCE != "None",
		AuthorizationParams: spec.AuthorizationParams,
		TokenParams:         spec.TokenParams,
		RefreshParams:       spec.RefreshParams,
		Rotation:            oauth.Unknown,
		HTTP:                r.HTTP,
		Clock:               r.Clock.Now,
	}
	if e := spec.Endpoints; e != nil {
		override(&c.Endpoints.Authorization, string(e.Authorization))
		override(&c.Endpoints.Token, string(e.Token))
		override(&c.Endpoints.Revocation, string(e.Revocation))
		override(&c.Endpoints.UserInfo, string(e.UserInfo))
	}
	if spec.Scopes != nil {
		c.ScopeSeparator = spec.Scopes.Separator
	}
	if rules := spec.Refresh; rules != nil {
		override(&c.Rotation, oauth.Rotation(rules.Rotation))
		c.RetryWindow = duration(rules.RetryWindow)
		c.TokenLifetime = duration(rules.TokenLifetime)
		c.Earliest = duration(rules.Earliest)
	}
	return c
}

func duration(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return max(d.Duration, 0)
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
	}
	return nil
}

// addClient makes the client's half.
func (r *Resolver) addClient(ctx context.Context, resolved *Resolved, s *source, d *description, found *metadata, ask bool) error {
	if s.client == nil {
		return nil
	}
	resolved.ID = s.client.ID
	resolved.Authentication = authentication(s.client, d.spec.ClientAuthentication, found.AuthMethods)
	if err := checkClient(resolved.Authentication, s); err != nil {
		return err
	}
	if ask && s.client.SecretRef != nil {
		var err error
		var version string
		if resolved.Secret, version, err = r.clientSecret(ctx, s); err != nil {
			return err
		}
		resolved.Revision += "/" + version
	}
	resolved.Scopes = scopes(s, d.spec.Scopes)
	if s.grant == v1alpha1.GrantClientCredentials {
		resolved.AuthorizationParams = nil
		return nil
	}
	if err := r.checkRedirect(resolved, s); err != nil {
		return err
	}
	resolved.AuthorizationParams = s.mergedParams(resolved.AuthorizationParams)
	resolved.CallbackPath = s.callbackPath
	resolved.RedirectURI = r.redirectURI(s)
	return nil
}

// mergedParams adds what the connection says to what its provider says. An object's word stands:
// the platform team may ask for a domain (hd) or a second factor (acr_values) by it.
func (s *source) mergedParams(provider map[string]string) map[string]string {
	if s.name != "" {
		return mergeParams(s.authorizationParams, provider)
	}
	return mergeParams(provider, s.authorizationParams)
}

// checkRedirect looks at where a connection's provider sends the person back to.
func (r *Resolver) checkRedirect(resolved *Resolved, s *source) error {
	refuse := func(text string) error {
		return origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.redirect", "%s", text)
	}
	switch {
	case s.grant == "":
	case s.loopback && !resolved.PKCE:
		// The code passes through the API server, where others may see it: only the verifier keeps it
		// from being of use to them.
		return refuse("Loopback needs a provider with PKCE, and this one is described with pkce: None; use Hosted")
	case !s.loopback && r.PublicURL == "":
		return refuse("the operator has no public address, which Hosted needs; set redirect: Loopback, or ask the platform team to set one (--public-url; publicURL of the chart)")
	}
	return nil
}

// loopbackHost stands for every port of the person's machine (RFC 8252 section 7.3).
const loopbackHost = "http://127.0.0.1"

// redirectURI is empty where no person is sent anywhere. With Loopback it lacks the port, which
// kubectl oauth chooses anew each time.
func (r *Resolver) redirectURI(s *source) string {
	switch {
	case s.client == nil || s.grant == v1alpha1.GrantClientCredentials:
		return ""
	case s.loopback:
		return loopbackHost + s.callbackPath
	case r.PublicURL == "":
		return ""
	}
	return strings.TrimSuffix(r.PublicURL, "/") + s.callbackPath
}

// authentication is the client's own choice, else None where there is no secret, else the
// provider's way, else what its metadata offers. Basic is the default (RFC 6749 section 2.3.1).
func authentication(c *v1alpha1.ClientSpec, provider v1alpha1.ClientAuthentication, offered []string) oauth.Authentication {
	switch {
	case c.Authentication != "":
		return oauth.Authentication(c.Authentication)
	case c.SecretRef == nil:
		return oauth.None
	case provider != "":
		return oauth.Authentication(provider)
	case slices.Contains(offered, "client_secret_post") && !slices.Contains(offered, "client_secret_basic"):
		return oauth.Post
	}
	return oauth.Basic
}

func checkClient(how oauth.Authentication, s *source) error {
	refuse := func(field, text string) error {
		return s.clientAt.errorf(v1alpha1.ReasonClientInvalid, field, "%s", text)
	}
	switch {
	case s.grant == v1alpha1.GrantClientCredentials && how == oauth.None:
		return refuse("client.secretRef", "grant ClientCredentials needs a client secret; set secretRef")
	case how != oauth.None && s.client.SecretRef == nil:
		return refuse("client.secretRef", "authentication "+string(how)+" needs a client secret; set secretRef, or authentication to None")
	case how == oauth.None && s.client.SecretRef != nil:
		return refuse("client.authentication", "the provider takes no client secret but secretRef is set; remove secretRef, or set authentication")
	}
	return nil
}

// scopes are those asked for. What a provider requires (offline_access and the like) belongs to a
// person's consent, so client credentials go without it.
func scopes(s *source, rules *v1alpha1.ScopeRules) []string {
	if rules == nil {
		rules = &v1alpha1.ScopeRules{}
	}
	asked := s.scopes
	if len(asked) == 0 {
		asked = rules.Default
	}
	if s.grant != v1alpha1.GrantClientCredentials {
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

// fingerprint covers whom the tokens belong to and every address that somebody wrote down. Those
// that were only discovered are left out: the issuer vouches for them.
func fingerprint(clientID string, spec *v1alpha1.ProviderSpec) string {
	endpoints := v1alpha1.Endpoints{}
	if spec.Endpoints != nil {
		endpoints = *spec.Endpoints
	}
	raw, err := json.Marshal([]any{spec.Issuer, clientID, endpoints.Authorization, endpoints.Token, endpoints.Revocation, endpoints.UserInfo})
	if err != nil { // strings always marshal
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
