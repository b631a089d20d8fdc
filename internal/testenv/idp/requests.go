// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import "time"

// Endpoint names a part of the provider, for Fault, Requests and URL.
type Endpoint string

// The endpoints.
const (
	Discovery  Endpoint = "/.well-known/openid-configuration"
	Authorize  Endpoint = "/authorize"
	Token      Endpoint = "/oauth/token"
	Revocation Endpoint = "/revoke"
	UserInfo   Endpoint = "/userinfo"
	Keys       Endpoint = "/keys"
	SignIn     Endpoint = "/signin"  // the login page
	Consent    Endpoint = "/consent" // the consent page
	API        Endpoint = "/api/me"  // the protected resource
)

// Request is what the log keeps of a request: no values that are secret.
type Request struct {
	Time       time.Time
	Method     string
	Keys       []string // names of the parameters of query and form, sorted
	ClientID   string
	GrantType  string
	Scope      string
	AuthMethod AuthMethod // empty: no client authentication
}

// Requests lists the requests an endpoint has received, oldest first.
func (p *Provider) Requests(e Endpoint) []Request { panic("being written") }

// Count is the number of requests an endpoint has received.
func (p *Provider) Count(e Endpoint) int { panic("being written") }
