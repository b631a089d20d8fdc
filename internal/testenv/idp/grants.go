// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// assertionGrant answers the JWT bearer grant (RFC 7523 section 2.1) for assertions of Options.Trusts.
// The library has it for assertions that a client signs itself.
func (p *Provider) assertionGrant(library *op.Provider) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Form.Get("grant_type") != string(oidc.GrantTypeBearer) {
			library.ServeHTTP(w, r)
			return
		}
		subject, ok := p.storage.trusted(r.Context(), r.PostForm.Get("assertion"))
		if !ok {
			library.ServeHTTP(w, r)
			return
		}
		request := &oidc.JWTTokenRequest{Subject: subject, Scopes: strings.Fields(r.PostForm.Get("scope"))}
		answer, err := op.CreateJWTTokenResponse(r.Context(), request, library)
		if err != nil {
			op.RequestError(w, r, err, library.Logger())
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// GetKeyByIDAndClientID finds the key that a client's assertion is signed with. A client with one key
// need not name it.
func (s *storage) GetKeyByIDAndClientID(_ context.Context, id, client string) (*jose.JSONWebKey, error) {
	c, ok := s.clients[client]
	if !ok {
		return nil, errUnknown
	}
	if id == "" && len(c.Keys) == 1 {
		return &c.Keys[0], nil
	}
	for i := range c.Keys {
		if c.Keys[i].KeyID == id {
			return &c.Keys[i], nil
		}
	}
	return nil, errUnknown
}

// ValidateJWTProfileScopes is asked in the JWT bearer grant, with the assertion's issuer.
func (s *storage) ValidateJWTProfileScopes(_ context.Context, client string, scopes []string) ([]string, error) {
	if c, ok := s.clients[client]; !ok || !op.ValidateGrantType(c, oidc.GrantTypeBearer) {
		return nil, oidc.ErrUnauthorizedClient()
	}
	return scopes, nil
}

// VerifyExchangeSubjectToken is asked about subject tokens that are none of the provider's own.
func (s *storage) VerifyExchangeSubjectToken(ctx context.Context, token string, kind oidc.TokenType) (string, string, map[string]any, error) {
	if kind != oidc.JWTTokenType && kind != oidc.IDTokenType {
		return "", "", nil, errUnknown
	}
	subject, ok := s.trusted(ctx, token)
	if !ok {
		return "", "", nil, errUnknown
	}
	return token, subject, nil, nil
}

// VerifyExchangeActorToken knows no actors.
func (s *storage) VerifyExchangeActorToken(context.Context, string, oidc.TokenType) (string, string, map[string]any, error) {
	return "", "", nil, errUnknown
}

// ValidateTokenExchangeRequest makes an access token of what does not say what it wants.
func (s *storage) ValidateTokenExchangeRequest(_ context.Context, request op.TokenExchangeRequest) error {
	if c, ok := s.clients[request.GetClientID()]; !ok || !op.ValidateGrantType(c, oidc.GrantTypeTokenExchange) {
		return oidc.ErrUnauthorizedClient()
	}
	switch request.GetRequestedTokenType() {
	case "":
		request.SetRequestedTokenType(oidc.AccessTokenType)
	case oidc.AccessTokenType, oidc.RefreshTokenType, oidc.IDTokenType:
	default:
		return oidc.ErrInvalidRequest().WithDescription("requested_token_type is not supported")
	}
	return nil
}

func (s *storage) CreateTokenExchangeRequest(context.Context, op.TokenExchangeRequest) error {
	return nil
}

func (s *storage) GetPrivateClaimsFromTokenExchangeRequest(context.Context, op.TokenExchangeRequest) (map[string]any, error) {
	return nil, nil
}

func (s *storage) SetUserinfoFromTokenExchangeRequest(ctx context.Context, info *oidc.UserInfo, request op.TokenExchangeRequest) error {
	return s.SetUserinfoFromScopes(ctx, info, request.GetSubject(), "", nil)
}

// SetIntrospectionFromToken tells a client about its own access tokens (RFC 7662 section 2.2).
func (s *storage) SetIntrospectionFromToken(_ context.Context, answer *oidc.IntrospectionResponse, token, _, client string) error {
	held, ok := s.accessToken(token)
	if !ok || held.client != client {
		return errUnknown
	}
	answer.Scope, answer.ClientID, answer.TokenType = held.scopes, held.client, oidc.BearerToken
	answer.Subject, answer.Expiration = held.user, oidc.FromTime(held.expiry)
	return nil
}
