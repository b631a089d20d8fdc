// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// CallbackPath is where the provider returns to, below the operator's public address.
const CallbackPath = "/callback/signin"

// Config is what the platform team decides. The claims and prefixes are to be what the API server
// has, or the operator asks about people who do not exist.
type Config struct {
	// Issuer is the provider's identifier, as its discovery document spells it.
	Issuer   string
	ClientID string
	// ClientSecret reads the client's secret for each sign-in; nil means a public client. Its errors
	// are logged and must not hold the secret.
	ClientSecret func(context.Context) (oauth.Secret, error)
	// RedirectURI is the operator's public address with CallbackPath.
	RedirectURI string
	// Scopes are asked for, and openid with them. Empty means openid, profile and email, which every
	// provider has, and groups where GroupsClaim is set and the provider lists such a scope (Dex and
	// Okta do; Google, Entra ID and Keycloak refuse scopes that they do not know).
	Scopes []string
	// UsernameClaim is the claim that names the person. Empty means sub.
	UsernameClaim string
	// UsernamePrefix stands before the name. Empty means "<issuer>#", or nothing where the claim is
	// email; "-" means nothing.
	UsernamePrefix string
	// GroupsClaim is a claim of a text or a list of texts. Empty means no groups.
	GroupsClaim string
	// GroupsPrefix stands before each group. Empty means nothing.
	GroupsPrefix string
}

// check returns the first mistake, named by its field.
func (c *Config) check() error {
	issuer, err := url.Parse(c.Issuer)
	switch {
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && issuer.Scheme != "http":
		return errors.New("sign-in: the issuer is not an https:// address")
	case issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "":
		return errors.New("sign-in: the issuer has user information, a query or a fragment")
	case c.ClientID == "":
		return errors.New("sign-in: the client ID is missing")
	case c.RedirectURI == "":
		return errors.New("sign-in: the redirect URI is missing")
	case reserved(c.UsernamePrefix), reserved(c.GroupsPrefix):
		return errors.New("sign-in: a prefix begins with " + reservedPrefix + ", which is reserved for Kubernetes")
	}
	return nil
}

func (c *Config) usernameClaim() string { return cmp.Or(c.UsernameClaim, "sub") }

// usernamePrefix follows kube-apiserver's --oidc-username-prefix.
func (c *Config) usernamePrefix() string {
	switch {
	case c.UsernamePrefix == "-":
		return ""
	case c.UsernamePrefix == "" && c.usernameClaim() != "email":
		return c.Issuer + "#"
	}
	return c.UsernamePrefix
}

// scopes are what is asked of a provider that lists offered.
func (c *Config) scopes(offered []string) []string {
	asked := c.Scopes
	if len(asked) == 0 {
		asked = []string{"openid", "profile", "email"}
		if c.GroupsClaim != "" && slices.Contains(offered, "groups") {
			asked = append(asked, "groups")
		}
	}
	if !slices.Contains(asked, "openid") {
		asked = append([]string{"openid"}, asked...)
	}
	return asked
}

// fingerprint changes with everything that decides who somebody is: cookies of other rules do not open.
func (c *Config) fingerprint() string {
	text, _ := json.Marshal([]string{ // texts always marshal
		c.Issuer, c.ClientID, c.usernameClaim(), c.usernamePrefix(), c.GroupsClaim, c.GroupsPrefix,
	})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func reserved(name string) bool { return strings.HasPrefix(name, reservedPrefix) }
