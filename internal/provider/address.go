// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

const maxAddress = 2048

var errAddress = errors.New("not an absolute https address")

// endpointField is one address of a description.
type endpointField struct {
	name    string
	address *v1alpha1.EndpointURL
	// dialled says whether the operator connects there, not only a browser.
	dialled bool
	// first says whether it is used before anything is known of what a provider answers.
	first bool
}

// endpointFields lists all of them, always in the same order.
func endpointFields(e *v1alpha1.Endpoints) []endpointField {
	return []endpointField{
		{"endpoints.authorization", &e.Authorization, false, true},
		{"endpoints.token", &e.Token, true, false},
		{refreshField, &e.Refresh, true, false},
		{"endpoints.deviceAuthorization", &e.DeviceAuthorization, true, true},
		{"endpoints.pushedAuthorizationRequest", &e.PushedAuthorizationRequest, true, true},
		{"endpoints.introspection", &e.Introspection, true, false},
		{revocationField, &e.Revocation, true, false},
		{"endpoints.userInfo", &e.UserInfo, true, false},
	}
}

const revocationField = "endpoints.revocation"

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

// checkSpec checks every address that was written or came from a preset, and names that matter as much.
func checkSpec(policy egress.Policy, spec *v1alpha1.ProviderSpec, at origin) error {
	if names := placeholders(spec.AssertionAudience); len(names) > 0 {
		return undeclared(at, "assertionAudience", names[0])
	}
	if err := checkRequests(spec, at); err != nil {
		return err
	}
	issuer := spec.Issuer
	fields := []endpointField{{name: "issuer", address: &issuer, dialled: true, first: true}}
	if spec.Endpoints != nil {
		fields = append(fields, endpointFields(spec.Endpoints)...)
	}
	for _, f := range fields {
		if *f.address == "" {
			continue
		}
		if err := checkPlaceholders(f, spec.Metadata, at); err != nil {
			return err
		}
		if err := refused(policy, f, sampled(string(*f.address)), at); err != nil {
			return err
		}
	}
	return nil
}

// refused words what checkAddress has against a field's address.
func refused(policy egress.Policy, f endpointField, address string, at origin) error {
	err := checkAddress(policy, address, f.dialled)
	var blocked *egress.BlockedError
	switch {
	case errors.As(err, &blocked):
		return at.errorf(v1alpha1.ReasonEndpointNotAllowed, f.name, "%s", notAllowed(blocked))
	case err != nil, f.name == "issuer" && strings.Contains(address, "?"):
		return at.errorf(v1alpha1.ReasonProviderInvalid, f.name,
			"not an https address that can be used: it needs a host and must have no user, fragment or placeholder (an issuer no query either)")
	}
	return nil
}

// placeholders lists the names in braces.
func placeholders(address string) []string {
	var names []string
	for _, part := range strings.Split(address, "{")[1:] {
		if name, _, closed := strings.Cut(part, "}"); closed {
			names = append(names, name)
		}
	}
	return names
}

// sampled puts something harmless in the place of each placeholder, so that the rest can be checked.
func sampled(address string) string {
	for _, name := range placeholders(address) {
		address = strings.ReplaceAll(address, "{"+name+"}", "x")
	}
	return address
}

// checkPlaceholders lets those through that something is put in later: metadata, and in the address of
// revocation the token and the client's id, which are nobody's host.
func checkPlaceholders(f endpointField, rules []v1alpha1.MetadataRule, at origin) error {
	_, rest, _ := strings.Cut(string(*f.address), "://")
	host, _, _ := strings.Cut(rest, "/")
	for _, name := range placeholders(string(*f.address)) {
		i := slices.IndexFunc(rules, func(r v1alpha1.MetadataRule) bool { return r.Name == name })
		if f.name == revocationField && i >= 0 && (name == "token" || name == "client_id") {
			return at.errorf(v1alpha1.ReasonProviderInvalid, f.name,
				"{%s} means something else here than metadata[%s]; give that entry another name", name, name)
		}
		if f.name == revocationField && (name == "token" || name == "client_id") && !strings.Contains(host, "{"+name+"}") {
			continue
		}
		switch {
		case i < 0:
			return undeclared(at, f.name, name)
		case rules[i].Pattern == "":
			return at.errorf(v1alpha1.ReasonProviderInvalid, f.name,
				"{%s} is metadata without a pattern; set the pattern of its entry under metadata, so that a value cannot lead elsewhere", name)
		case f.first:
			return at.errorf(v1alpha1.ReasonProviderInvalid, f.name,
				"{%s} is metadata, which is not known before a person has consented; write the address without it", name)
		}
	}
	return nil
}

func undeclared(at origin, field, name string) error {
	return at.errorf(v1alpha1.ReasonProviderInvalid, field,
		"{%s} is a placeholder nobody declared; write its value, or declare it: a preset's parameters are under parameters, and metadata needs an entry with a pattern",
		printable(name, maxShown))
}
