// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
)

// BlockedError says that the policy refused a request before anything was sent.
type BlockedError struct {
	// Host is the host as the URL named it, without port. What it resolved to is not told: an answer
	// per address would let tenants explore the cluster's names.
	Host string
	// Rule is the rule that refused, in fixed words.
	Rule string
}

// Error names host and rule, never path or query.
func (e *BlockedError) Error() string {
	return fmt.Sprintf("outbound request to %q refused: %s", e.Host, e.Rule)
}

// Blocked marks the error for packages that know it by behaviour only.
func (e *BlockedError) Blocked() bool { return true }

// errURL has no cause: url.Parse quotes its input, which may carry credentials.
var errURL = errors.New("not an absolute URL with a host")

// CheckURL applies what can be said of a URL without resolving it: the scheme, user information, literal
// addresses. The error is a *BlockedError where the policy refuses, another where raw is no URL. A nil
// error promises nothing about the address behind a name; that is checked when it is dialled.
func CheckURL(p Policy, raw string) error {
	parsed, err := url.Parse(raw)
	if err != nil {
		return errURL
	}
	return p.checkURL(parsed)
}

func (p Policy) checkURL(target *url.URL) error {
	host := target.Hostname()
	if host == "" {
		return errURL
	}
	switch {
	case target.Scheme == "http" && !p.AllowHTTP:
		return &BlockedError{Host: host, Rule: "only https is allowed"}
	case target.Scheme != "https" && target.Scheme != "http":
		return &BlockedError{Host: host, Rule: "only https is allowed"}
	case target.User != nil:
		return &BlockedError{Host: host, Rule: "user information in a URL is not allowed"}
	}
	if literal, err := netip.ParseAddr(host); err == nil {
		return p.checkAddr(host, literal)
	}
	return nil
}

// checkDialled judges the address of a socket that is about to connect.
func (p Policy) checkDialled(host, dialled string) error {
	address, err := netip.ParseAddrPort(dialled)
	if err != nil {
		return &BlockedError{Host: host, Rule: "not an IP address"}
	}
	return p.checkAddr(host, address.Addr())
}

func (p Policy) checkAddr(host string, address netip.Addr) error {
	// A prefix never contains an address with a zone, so the zone must go first.
	address = address.WithZone("")
	contains := func(prefix netip.Prefix) bool {
		return prefix.Contains(address) || prefix.Contains(address.Unmap())
	}
	switch {
	case slices.ContainsFunc(p.DenyCIDRs, contains):
		return &BlockedError{Host: host, Rule: "the platform team denies its address"}
	case slices.ContainsFunc(p.AllowCIDRs, func(prefix netip.Prefix) bool { return prefix.Contains(address) }):
		return nil
	}
	if rule := deniedBy(address); rule != "" {
		return &BlockedError{Host: host, Rule: rule}
	}
	return nil
}
