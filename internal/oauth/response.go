// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of Response.Parameters.
const maxParameters, maxParameterName, maxParameterValue = 16, 64, 1024

// RandomBytes is the length of what Random returns before encoding.
const RandomBytes = 32

// Random is 256 bits in 43 characters, which PKCE asks of a verifier (RFC 7636 section 4.1). States and
// nonces are made so, too.
func Random() string {
	b := make([]byte, RandomBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Response is an authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
type Response struct {
	State  Secret
	Code   Secret
	Issuer string
	Error  string
	// Parameters are what else came with it: at most 16, valid UTF-8, names of at most 64 bytes and
	// values of at most 1024. Nil where there is nothing.
	Parameters map[string]string
}

// ParseResponse takes what is needed of a query, where the code is in the parameter of that name; empty
// means code. It is false where a parameter comes twice (RFC 6749 section 3.1), and where there is not
// exactly one of code and error.
func ParseResponse(query url.Values, code string) (Response, bool) {
	if code == "" {
		code = "code"
	}
	for _, name := range []string{"state", code, "iss", "error"} {
		if len(query[name]) > 1 {
			return Response{}, false
		}
	}
	r := Response{
		State:  NewSecret(query.Get("state")),
		Code:   NewSecret(query.Get(code)),
		Issuer: query.Get("iss"),
		Error:  query.Get("error"),
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != code && isParameter(name, query[name]) && len(r.Parameters) < maxParameters {
			if r.Parameters == nil {
				r.Parameters = map[string]string{}
			}
			r.Parameters[name] = query.Get(name)
		}
	}
	return r, r.Code.IsZero() != (r.Error == "")
}

// isParameter says whether a parameter that is not the protocol's is kept.
func isParameter(name string, values []string) bool {
	switch name {
	case "", "code", "state", "iss":
		return false
	}
	return !strings.HasPrefix(name, "error") && len(name) <= maxParameterName && utf8.ValidString(name) &&
		len(values) == 1 && len(values[0]) <= maxParameterValue && utf8.ValidString(values[0])
}

// IsIssuer says whether a response with this iss parameter comes from the client's provider (RFC 9207
// section 2.4). Where the issuer is not known, as with endpoints that were written by hand, there is
// nothing to compare with; the redirect URI, which is one per client, tells providers apart then.
func (c *Client) IsIssuer(iss string) bool {
	if iss == "" {
		return !c.IssInResponse
	}
	return c.Issuer == "" || iss == c.Issuer
}

// MetadataAddresses lists where an issuer's metadata may be: OpenID Connect Discovery section 4 appends
// to the issuer, RFC 8414 section 3.1 inserts before its path.
func MetadataAddresses(issuer string) []string {
	trimmed := strings.TrimSuffix(issuer, "/")
	addresses := []string{trimmed + "/.well-known/openid-configuration"}
	if u, err := url.Parse(trimmed); err == nil {
		addresses = append(addresses, u.Scheme+"://"+u.Host+"/.well-known/oauth-authorization-server"+u.EscapedPath())
	}
	return addresses
}
