// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// consent is what a person agreed to once: the family of all tokens that follow from it. The
// client_credentials grant makes one without a person.
type consent struct {
	user, client string
	scopes       []string
	authTime     time.Time
	ended        bool
}

type accessToken struct {
	*consent
	scopes  []string
	expiry  time.Time
	revoked bool
}

type refreshToken struct {
	*consent
	expiry time.Time // zero: never
	spent  time.Time // zero: not yet
}

// opaque is op.Crypto without cryptography: tokens and codes are random values that storage knows.
type opaque struct{ storage *storage }

// Encrypt is given "token:subject" of an access token, or the bare ID of an authorization request,
// for which it makes a code.
func (opaque) Encrypt(value string) (string, error) {
	if token, _, found := strings.Cut(value, ":"); found {
		return token, nil
	}
	return newToken(), nil
}

// Decrypt is asked about access tokens only. The library allows no colon in the user's name.
func (c opaque) Decrypt(token string) (string, error) {
	held, ok := c.storage.accessToken(token)
	if !ok {
		return "", errUnknown
	}
	return token + ":" + url.QueryEscape(held.user), nil
}

func newToken() string { return rand.Text() + rand.Text() }

func (s *storage) CreateAccessToken(_ context.Context, request op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, expiry := s.issueAccess(s.consentOf(request), request.GetScopes())
	return token, expiry, nil
}

func (s *storage) CreateAccessAndRefreshTokens(_ context.Context, request op.TokenRequest, current string) (string, string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current != "" {
		if _, err := s.live(current); err != nil {
			return "", "", time.Time{}, err
		}
	}
	c := s.consentOf(request)
	access, expiry := s.issueAccess(c, request.GetScopes())
	if current != "" && !s.options.Rotation {
		return access, "", expiry, nil
	}
	if held := s.refresh[current]; held != nil && held.spent.IsZero() {
		held.spent = s.now()
	}
	refresh := &refreshToken{consent: c}
	if s.options.RefreshTokenLifetime > 0 {
		refresh.expiry = s.now().Add(s.options.RefreshTokenLifetime)
	}
	token := newToken()
	s.refresh[token] = refresh
	return access, token, expiry, nil
}

// issueAccess returns the expiry by the system's clock, half a second late: zitadel/oidc turns it
// into expires_in by time.Now and cuts fractions off.
func (s *storage) issueAccess(c *consent, scopes []string) (string, time.Time) {
	lifetime := s.options.AccessTokenLifetime
	token := newToken()
	s.access[token] = &accessToken{consent: c, scopes: scopes, expiry: s.now().Add(lifetime)}
	return token, time.Now().Add(lifetime + time.Second/2)
}

func (s *storage) consentOf(request op.TokenRequest) *consent {
	if refresh, ok := request.(*refreshRequest); ok {
		return refresh.consent
	}
	c := &consent{user: request.GetSubject(), client: request.GetSubject(), scopes: request.GetScopes(), authTime: s.now()}
	if authorized, ok := request.(interface {
		GetClientID() string
		GetAuthTime() time.Time
	}); ok {
		c.client, c.authTime = authorized.GetClientID(), authorized.GetAuthTime()
	}
	s.consents = append(s.consents, c)
	return c
}

// live returns a refresh token that may be used now. One that was spent before may not, and counts
// as a reuse, unless it is inside RetryGrace.
func (s *storage) live(token string) (*refreshToken, error) {
	held, ok := s.refresh[token]
	switch {
	case !ok, held.ended:
		return nil, oidc.ErrInvalidGrant()
	case !held.expiry.IsZero() && !s.now().Before(held.expiry):
		return nil, oidc.ErrInvalidGrant().WithDescription("expired")
	case !held.spent.IsZero() && s.now().Sub(held.spent) >= s.options.RetryGrace:
		s.reuses++
		held.ended = s.options.ReuseDetection
		return nil, oidc.ErrInvalidGrant().WithDescription("used before")
	}
	return held, nil
}

func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := s.live(token)
	if err != nil {
		return nil, err
	}
	return &refreshRequest{consent: held.consent, current: held.scopes}, nil
}

func (s *storage) ClientCredentialsTokenRequest(_ context.Context, client string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: client, Scopes: scopes, Audience: oidc.Audience{client}}, nil
}

// GetRefreshTokenInfo is asked first in a revocation.
func (s *storage) GetRefreshTokenInfo(_ context.Context, client, token string) (user, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.refresh[token]
	if !ok || held.client != client {
		return "", "", op.ErrInvalidRefreshToken
	}
	return held.user, token, nil
}

// RevokeToken ends an access token, or with a refresh token the whole consent (RFC 7009 section
// 2.1). An unknown token is no error (section 2.2).
func (s *storage) RevokeToken(_ context.Context, token, _, client string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held, ok := s.refresh[token]; ok && held.client == client {
		held.ended = true
	}
	if held, ok := s.access[token]; ok && held.client == client {
		held.revoked = true
	}
	return nil
}

// accessToken returns a token that is valid now.
func (s *storage) accessToken(token string) (accessToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, ok := s.access[token]
	if !ok || held.revoked || held.ended || !s.now().Before(held.expiry) {
		return accessToken{}, false
	}
	return *held, true
}

func (s *storage) revokeConsents(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.consents {
		c.ended = c.ended || c.user == user
	}
}

func (s *storage) reuseCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reuses
}

// refreshRequest is op.RefreshTokenRequest over a consent.
type refreshRequest struct {
	*consent
	current []string
}

func (r *refreshRequest) GetAMR() []string                 { return []string{"pwd"} }
func (r *refreshRequest) GetAudience() []string            { return []string{r.client} }
func (r *refreshRequest) GetAuthTime() time.Time           { return r.authTime }
func (r *refreshRequest) GetClientID() string              { return r.client }
func (r *refreshRequest) GetScopes() []string              { return r.current }
func (r *refreshRequest) GetSubject() string               { return r.user }
func (r *refreshRequest) SetCurrentScopes(scopes []string) { r.current = scopes }
