// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const idTokenLifetime = time.Hour

// registration is a Client as zitadel/oidc wants to see it.
type registration struct {
	Client
	loginURL string
	internal string // the secret by which a client that has authenticated otherwise is known to the library
}

func (c *registration) GetID() string                    { return c.ID }
func (c *registration) RedirectURIs() []string           { return c.Client.RedirectURIs }
func (c *registration) PostLogoutRedirectURIs() []string { return nil }

// ApplicationType is that of a native app for a client of a loopback address without a port: every
// port is right then (RFC 8252 section 7.3).
func (c *registration) ApplicationType() op.ApplicationType {
	if slices.ContainsFunc(c.Client.RedirectURIs, func(uri string) bool { return strings.HasPrefix(uri, "http://127.0.0.1/") }) {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeWeb
}

func (c *registration) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c *registration) LoginURL(id string) string           { return c.loginURL + "?id=" + id }
func (c *registration) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }
func (c *registration) IDTokenLifetime() time.Duration      { return idTokenLifetime }
func (c *registration) DevMode() bool                       { return false }
func (c *registration) IsScopeAllowed(string) bool          { return true }
func (c *registration) ClockSkew() time.Duration            { return 0 }

// IDTokenUserinfoClaimsAssertion puts email and name into ID tokens, as most providers do.
func (c *registration) IDTokenUserinfoClaimsAssertion() bool { return true }

func (c *registration) RestrictAdditionalIdTokenScopes() func([]string) []string { return slices.Clone }
func (c *registration) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return slices.Clone
}

func (c *registration) RedirectURIGlobs() []string {
	if c.RedirectBase == "" {
		return nil
	}
	return []string{c.RedirectBase + "/callback/**"}
}

func (c *registration) PostLogoutRedirectURIGlobs() []string { return nil }

func (c *registration) AuthMethod() oidc.AuthMethod {
	switch c.method() {
	case None:
		return oidc.AuthMethodNone
	case Post:
		return oidc.AuthMethodPost
	default: // see authenticated
		return oidc.AuthMethodBasic
	}
}

func (c *registration) method() AuthMethod {
	switch {
	case c.Client.AuthMethod != "":
		return c.Client.AuthMethod
	case c.Secret != "":
		return Basic
	case len(c.Keys)+len(c.Federated) > 0:
		return PrivateKeyJWT
	default:
		return None
	}
}

// accepts says whether the client may authenticate in this way.
func (c *registration) accepts(method AuthMethod) bool {
	if c.Client.AuthMethod == "" && c.Secret != "" {
		return method == Basic || method == Post
	}
	return method == c.method()
}

// anybodyMay says whether a client is registered for a grant.
func (s *storage) anybodyMay(grant oidc.GrantType) bool {
	for _, c := range s.clients {
		if op.ValidateGrantType(c, grant) {
			return true
		}
	}
	return false
}

func (c *registration) GrantTypes() []oidc.GrantType {
	if len(c.Grants) == 0 {
		return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeClientCredentials}
	}
	grants := make([]oidc.GrantType, len(c.Grants))
	for i, grant := range c.Grants {
		grants[i] = oidc.GrantType(grant)
	}
	return grants
}
