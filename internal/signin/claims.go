// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

const (
	// reservedPrefix is that of users and groups that only Kubernetes itself hands out.
	reservedPrefix = "system:"
	// maxUsername is the longest username, in bytes, that an OAuthAuthorization can name.
	maxUsername = 512
)

// Identity is a person as the API server sees them.
type Identity struct {
	Username string
	// Groups are sorted and without repetition. system:authenticated is not among them.
	Groups []string
}

// claims are those of a verified ID token.
type claims map[string]json.RawMessage

// identity maps claims as kube-apiserver does (k8s.io/apiserver/plugin/pkg/authenticator/token/oidc),
// and is stricter in this: no name is empty or one of Kubernetes' own, a username can be shown.
func (c *Config) identity(held claims) (Identity, error) {
	username, err := c.username(held)
	if err != nil {
		return Identity{}, err
	}
	groups, err := c.groups(held)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Username: username, Groups: groups}, nil
}

func (c *Config) username(held claims) (string, error) {
	var name string
	if err := json.Unmarshal(held[c.usernameClaim()], &name); err != nil || name == "" {
		return "", fail(Refused, "the ID token has no username claim, or one that is no text")
	}
	if c.usernameClaim() == "email" && !held.emailVerified() {
		return "", fail(Refused, "the email is not verified")
	}
	name = c.usernamePrefix() + name
	switch {
	case reserved(name):
		return "", fail(Refused, "the username is reserved for Kubernetes")
	case len(name) > maxUsername:
		return "", fail(Refused, "the username is too long")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fail(Refused, "the username has characters that cannot be shown")
	}
	return name, nil
}

// emailVerified holds for providers that do not say so too, but not for "true" as a text.
func (held claims) emailVerified() bool {
	claim, present := held["email_verified"]
	if !present {
		return true
	}
	var verified bool
	return json.Unmarshal(claim, &verified) == nil && verified
}

// groups leaves out those that are reserved: a provider has no say in them.
func (c *Config) groups(held claims) ([]string, error) {
	if c.GroupsClaim == "" {
		return nil, nil
	}
	claim, present := held[c.GroupsClaim]
	if !present {
		return nil, held.elsewhere(c.GroupsClaim)
	}
	var named texts
	if err := json.Unmarshal(claim, &named); err != nil {
		return nil, fail(Refused, "the groups claim is neither a text nor a list of texts")
	}
	var groups []string
	for _, group := range named {
		if group = c.GroupsPrefix + group; group != "" && !reserved(group) {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// elsewhere fails where the provider keeps the claim at another address (OpenID Connect Core section
// 5.6.2), which Entra ID does with more than 200 groups. The API server cannot use it there either.
func (held claims) elsewhere(name string) error {
	var sources map[string]json.RawMessage
	if json.Unmarshal(held["_claim_names"], &sources) == nil && sources[name] != nil {
		return fail(TooManyGroups, "the provider does not put the groups into the ID token")
	}
	return nil
}

// texts is a list of texts, or a single one.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(raw []byte) error {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		*t = list
		return nil
	}
	var one string
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*t = texts{one}
	return nil
}
