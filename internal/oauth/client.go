// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/http"
	"time"
)

// Authentication is how a client authenticates at the token endpoint (RFC 6749 section 2.3).
type Authentication string

const (
	// Basic sends the secret by HTTP Basic.
	Basic Authentication = "ClientSecretBasic"
	// Post sends the secret in the form body.
	Post Authentication = "ClientSecretPost"
	// PrivateKeyJWT sends an assertion signed by the client (RFC 7523 section 2.2).
	PrivateKeyJWT Authentication = "PrivateKeyJWT"
	// TLS shows a certificate (RFC 8705 section 2): Client.HTTP has it.
	TLS Authentication = "TLS"
	// ServiceAccountToken sends an assertion that somebody else signed (RFC 7523 section 2.2).
	ServiceAccountToken Authentication = "ServiceAccountToken"
	// None sends the client id only: a public client.
	None Authentication = "None"
)

// Rotation is what a provider does with the refresh token at a refresh.
type Rotation string

const (
	// Static means that the same refresh token stays valid.
	Static Rotation = "Static"
	// Rotating means that each refresh spends the refresh token.
	Rotating Rotation = "Rotating"
	// Unknown is to be treated as Rotating where that is safer.
	Unknown Rotation = "Unknown"
)

// Endpoints are the addresses of an authorization server. Only Token is always there; where Refresh is
// empty, Token takes its place.
type Endpoints struct {
	Authorization, Token, Refresh, DeviceAuthorization, PushedAuthorizationRequest string
	Introspection, Revocation, UserInfo                                            string
}

// Client is a registration at one provider and everything a grant needs.
type Client struct {
	// Issuer is the issuer identifier, where it is known.
	Issuer    string
	Endpoints Endpoints

	ID             string
	Secret         Secret
	Authentication Authentication
	// Assertion makes what the client authenticates with (RFC 7523 section 2.2): for PrivateKeyJWT and
	// ServiceAccountToken, nil for the others.
	Assertion func(context.Context) (Secret, error)
	// Subject is what a token request rests on, with JWTBearer and TokenExchange.
	Subject Subject

	// PKCE says whether S256 is used (RFC 7636).
	PKCE   bool
	Scopes []string
	// ScopeSeparator stands between scopes; empty means one space.
	ScopeSeparator string

	// AuthorizationParams, TokenParams (every request to the token endpoint), ExchangeParams and
	// RefreshParams are added to requests. They never replace what the protocol itself sets.
	AuthorizationParams, TokenParams, ExchangeParams, RefreshParams map[string]string

	// Dialect is where the provider departs from the RFCs.
	Dialect Dialect
	// Errors tell what refusals mean. The first that matches counts.
	Errors []ErrorRule

	RedirectURI string
	// IssInResponse means that the provider promised iss in its authorization response (RFC 9207).
	IssInResponse bool

	Rotation Rotation
	// RetryWindow is how long the provider still honours the refresh token just spent.
	RetryWindow time.Duration
	// TokenLifetime is the life of an access token whose answer does not say it.
	TokenLifetime time.Duration
	// Earliest is the remaining life above which the provider refuses a refresh; zero: none.
	Earliest time.Duration
	// IdleTimeout ends a refresh token that is not used for so long; zero: it is not known.
	IdleTimeout time.Duration
	// AbsoluteLifetime ends a grant so long after consent; zero: it is not known.
	AbsoluteLifetime time.Duration

	// HTTP is the guarded client. Only its Transport is used.
	HTTP *http.Client
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
}

// Subject is an assertion (RFC 7523 section 2.1) or a subject token (RFC 8693 section 2.1).
type Subject struct {
	// Token makes or reads it, for each request anew.
	Token func(context.Context) (Secret, error)
	// TokenType and RequestedTokenType are for TokenExchange; empty: a JWT, and as the provider likes.
	TokenType, RequestedTokenType string
}
