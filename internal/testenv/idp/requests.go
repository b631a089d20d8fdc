// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Endpoint names a part of the provider, for Fault, Requests and URL. It is its path.
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

	DeviceAuthorization Endpoint = "/device_authorization"
	Introspection       Endpoint = "/oauth/introspect"
	DeviceCode          Endpoint = "/device" // the page for user codes
)

// Request is what the log keeps of a request: no values that are secret.
type Request struct {
	Time       time.Time
	Method     string
	Keys       []string // names of the parameters of query and form, sorted
	ClientID   string
	GrantType  string
	Scope      string
	AuthMethod AuthMethod // empty: no client is named
}

// Requests lists the requests an endpoint has received, oldest first.
func (p *Provider) Requests(e Endpoint) []Request { return p.log.list(e) }

// Count is the number of requests an endpoint has received.
func (p *Provider) Count(e Endpoint) int { return len(p.log.list(e)) }

// requestLog remembers requests, and the values that must not turn up anywhere else.
type requestLog struct {
	mu       sync.Mutex
	requests map[Endpoint][]Request
	issued   []string
	received map[string]bool
}

func (l *requestLog) add(e Endpoint, r *http.Request, now time.Time) {
	id, secret, method := clientAuthentication(r)
	request := Request{
		Time:       now,
		Method:     r.Method,
		Keys:       slices.Sorted(maps.Keys(r.Form)),
		ClientID:   id,
		GrantType:  r.Form.Get("grant_type"),
		Scope:      r.Form.Get("scope"),
		AuthMethod: method,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests == nil {
		l.requests, l.received = map[Endpoint][]Request{}, map[string]bool{}
	}
	l.requests[e] = append(l.requests[e], request)
	values := []string{secret}
	for _, name := range []string{"state", "nonce", "code_verifier", "assertion", "subject_token"} {
		values = append(values, r.Form.Get(name))
	}
	for _, value := range values {
		if value != "" {
			l.received[value] = true
		}
	}
}

func (l *requestLog) list(e Endpoint) []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests[e])
}

func (l *requestLog) issue(values ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, value := range values {
		if value != "" {
			l.issued = append(l.issued, value)
		}
	}
}

func (l *requestLog) issuedValues() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.issued)
}

func (l *requestLog) receivedValues() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.received))
}
