// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"net/url"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

const maxAddress = 2048

var errAddress = errors.New("not an absolute https address")

// checkAddress holds an address to its form and to the outbound policy. Where dialled is false only
// browsers go there: the scheme counts, not where it leads.
func checkAddress(policy egress.Policy, address string, dialled bool) error {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxAddress || u.Fragment != "" || strings.ContainsAny(address, "{}") || !plain(u.Hostname(), ".-_:") {
		return errAddress
	}
	if !dialled {
		switch {
		case u.User != nil, u.Scheme != "https" && u.Scheme != "http":
			return errAddress
		case u.Scheme == "http" && !policy.AllowHTTP:
			return &egress.BlockedError{Host: u.Hostname(), Rule: "only https is allowed"}
		}
		return nil
	}
	return egress.CheckURL(policy, address)
}

// plain says whether a text has letters, digits and some other characters only. For a host it is
// stricter than net/url, which takes "<" and the like.
func plain(text, others string) bool {
	for _, r := range text {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && !strings.ContainsRune(others, r) {
			return false
		}
	}
	return text != ""
}

func notAllowed(blocked *egress.BlockedError) string {
	return "the operator may not connect to " + printable(blocked.Host, maxShown) + " (" + blocked.Rule +
		"); use a public https address, or ask the platform team for --allow-cidr or --allow-http"
}

// checkSpec checks every address that was written or came from a preset.
func checkSpec(policy egress.Policy, spec *v1alpha1.ProviderSpec, at origin) error {
	e := spec.Endpoints
	if e == nil {
		e = &v1alpha1.Endpoints{}
	}
	fields := []struct {
		name    string
		address v1alpha1.EndpointURL
		dialled bool
	}{
		{"issuer", spec.Issuer, true},
		{"endpoints.authorization", e.Authorization, false},
		{"endpoints.token", e.Token, true},
		{"endpoints.revocation", e.Revocation, true},
		{"endpoints.userInfo", e.UserInfo, true},
	}
	for _, f := range fields {
		if f.address == "" {
			continue
		}
		err := checkAddress(policy, string(f.address), f.dialled)
		var blocked *egress.BlockedError
		switch {
		case errors.As(err, &blocked):
			return at.errorf(v1alpha1.ReasonEndpointNotAllowed, f.name, "%s", notAllowed(blocked))
		case err != nil, f.name == "issuer" && strings.Contains(string(f.address), "?"):
			return at.errorf(v1alpha1.ReasonProviderInvalid, f.name,
				"not an https address that can be used: it needs a host and must have no user, fragment or placeholder (an issuer no query either)")
		}
	}
	return nil
}
