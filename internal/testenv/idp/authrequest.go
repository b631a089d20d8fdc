// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// authRequest is an authorization request from the redirect to the sign-in page until its code is
// exchanged.
type authRequest struct {
	*oidc.AuthRequest
	id       string
	user     string // empty until somebody has signed in
	approved bool
	authTime time.Time
	device   string // the device code that is decided on; empty: of a client that waits for a redirect
}

func (r *authRequest) GetID() string                      { return r.id }
func (r *authRequest) GetACR() string                     { return "" }
func (r *authRequest) GetAMR() []string                   { return []string{"pwd"} }
func (r *authRequest) GetAudience() []string              { return []string{r.ClientID} }
func (r *authRequest) GetAuthTime() time.Time             { return r.authTime }
func (r *authRequest) GetClientID() string                { return r.ClientID }
func (r *authRequest) GetNonce() string                   { return r.Nonce }
func (r *authRequest) GetResponseMode() oidc.ResponseMode { return r.ResponseMode }
func (r *authRequest) GetScopes() []string                { return r.Scopes }
func (r *authRequest) GetSubject() string                 { return r.user }
func (r *authRequest) Done() bool                         { return r.approved }

func (r *authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	if r.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.CodeChallenge, Method: r.CodeChallengeMethod}
}

func (s *storage) CreateAuthRequest(_ context.Context, request *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if s.options.RequirePKCE && request.CodeChallenge == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE is required")
	}
	if request.CodeChallenge != "" && request.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("only S256 is supported")
	}
	created := &authRequest{AuthRequest: request, id: rand.Text()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[created.id] = created
	return created, nil
}

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	request, ok := s.authRequest(id)
	if !ok {
		return nil, errUnknown
	}
	return &request, nil
}

// authRequest returns a copy, so that pages and tokens see one state of it.
func (s *storage) authRequest(id string) (authRequest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, ok := s.requests[id]
	if !ok {
		return authRequest{}, false
	}
	return *request, true
}

func (s *storage) signedIn(id, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request, ok := s.requests[id]; ok {
		request.user, request.authTime = user, s.now()
	}
}

func (s *storage) approve(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if request, ok := s.requests[id]; ok {
		request.approved = request.user != ""
	}
}

func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

// AuthRequestByCode spends the code, whatever becomes of the exchange: a client that tries its
// credentials in two ways finds its code used up, as at strict providers.
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, ok := s.requests[s.codes[code]]
	delete(s.codes, code)
	if !ok {
		return nil, errUnknown
	}
	return request, nil
}

func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}
