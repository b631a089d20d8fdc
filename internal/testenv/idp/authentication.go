// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// maxAssertionAge bounds how long ago an assertion was made.
const maxAssertionAge = time.Hour

// clientAuthentication reads RFC 6749 section 2.3.1 (in the header both values are form-encoded) and
// RFC 7523 section 2.2. Two ways at once are no way.
func clientAuthentication(r *http.Request) (id, secret string, method AuthMethod) {
	assertion := r.PostForm.Get("client_assertion")
	if id, secret, ok := r.BasicAuth(); ok {
		id, idErr := url.QueryUnescape(id)
		secret, secretErr := url.QueryUnescape(secret)
		if idErr != nil || secretErr != nil || assertion != "" || r.PostForm.Has("client_secret") {
			return "", "", Basic
		}
		return id, secret, Basic
	}
	id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	switch {
	case assertion != "" && secret == "":
		return id, assertion, PrivateKeyJWT
	case id == "":
		return r.Form.Get("client_id"), "", ""
	case secret == "":
		return id, "", None
	default:
		return id, secret, Post
	}
}

// authenticated refuses a client that authenticates in another way than it is registered for, which
// the library tolerates, and verifies assertions. Behind it every client but a public one has
// authenticated by Basic, which is all that the library knows for some of its grants.
func (p *Provider) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, method := clientAuthentication(r)
		grant := oidc.GrantType(r.Form.Get("grant_type"))
		c, known := p.storage.clients[id]
		switch {
		case id == "" && method == "" && grant == oidc.GrantTypeBearer:
			next.ServeHTTP(w, r) // RFC 7521 section 4.1: the assertion says who asks
			return
		case id == "" && method == "" && grant == oidc.GrantTypeTokenExchange:
			method = None // known only where nobody is registered as a client
		}
		if !known || !c.accepts(method) {
			refuseClient(w)
			return
		}
		switch {
		case method == PrivateKeyJWT:
			if !p.verified(r.Context(), c, r.PostForm.Get("client_assertion_type"), secret) {
				refuseClient(w)
				return
			}
			r = asBasic(r, id, c.internal)
		case method == Post:
			r = asBasic(r, id, secret)
		case method == None && (grant == oidc.GrantTypeTokenExchange || grant == oidc.GrantTypeDeviceCode):
			r = asBasic(r, id, c.internal)
		}
		next.ServeHTTP(w, r)
	})
}

func refuseClient(w http.ResponseWriter) {
	writeJSON(w, http.StatusUnauthorized, map[string]any{"error": oidc.InvalidClient})
}

func asBasic(r *http.Request, id, secret string) *http.Request {
	r = r.Clone(r.Context())
	for _, name := range []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		r.Form.Del(name)
		r.PostForm.Del(name)
	}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r
}

// verified accepts a federated token, any number of times, and what the client has signed itself,
// once.
func (p *Provider) verified(ctx context.Context, c *registration, kind, assertion string) bool {
	if kind != oidc.ClientAssertionTypeJWTAssertion {
		return false
	}
	if len(c.Federated) > 0 {
		return c.believes(ctx, assertion)
	}
	claims, err := op.VerifyJWTAssertion(ctx, assertion, op.NewJWTProfileVerifier(p.storage, p.issuer, maxAssertionAge, time.Second))
	return err == nil && claims.Issuer == c.ID && p.storage.firstUse(assertion)
}

// firstUse remembers assertions, so that nobody plays them again.
func (s *storage) firstUse(assertion string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.assertions[assertion] {
		return false
	}
	s.assertions[assertion] = true
	return true
}
