// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package idp is a real OpenID provider in the process, which tests can make misbehave.
//
// A Provider serves discovery, login and consent pages, the token, revocation and userinfo
// endpoints and a protected resource, all in memory. Fault queues misbehaviour for an endpoint,
// Requests tells what was asked, and Browser walks the pages as a person's browser would.
//
// A request passes the log, then the faults, then one of these:
//
//	/.well-known/openid-configuration, /keys, /authorize,     zitadel/oidc over storage
//	/oauth/token, /oauth/introspect, /revoke, /userinfo,
//	/device_authorization
//	/signin, /consent, /device                                pages
//	/api/me                                                   resource
package idp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"k8s.io/utils/clock"
)

// AuthMethod is how a client authenticates at the token endpoint.
type AuthMethod string

// The methods of OpenID Connect Core section 9 that are supported.
const (
	Basic         AuthMethod = "client_secret_basic"
	Post          AuthMethod = "client_secret_post"
	PrivateKeyJWT AuthMethod = "private_key_jwt"
	None          AuthMethod = "none"
)

// Grants besides those of RFC 6749, for Client.Grants.
const (
	GrantDeviceCode    = string(oidc.GrantTypeDeviceCode)    // RFC 8628
	GrantJWTBearer     = string(oidc.GrantTypeBearer)        // RFC 7523
	GrantTokenExchange = string(oidc.GrantTypeTokenExchange) // RFC 8693
)

// Client is a registration at the provider. One with an empty ID stands for those who ask for a token
// exchange without being a client.
type Client struct {
	ID, Secret string
	// Keys verify what the client signs: assertions to authenticate with (RFC 7523 section 2.2), by
	// RS256, PS256 or ES256 and good for one use, and those of the JWT bearer grant.
	Keys []jose.JSONWebKey
	// Federated are credentials that somebody else signs; each is an assertion to authenticate with.
	Federated []Federation
	// RedirectURIs are matched exactly.
	RedirectURIs []string
	// RedirectBase allows every URI below <RedirectBase>/callback/. It may be a glob, for instance
	// "http://127.0.0.1:*" or "http{,s}://{127.0.0.1,localhost}:*".
	RedirectBase string
	// Grants: empty means authorization_code, refresh_token and client_credentials.
	Grants []string
	// AuthMethod: empty means any of Basic and Post, or without a Secret PrivateKeyJWT where there are
	// Keys or Federated, else None.
	AuthMethod AuthMethod
}

// User is a person who can sign in. Name becomes the subject of tokens: it has no colon.
type User struct {
	Name, Password, Email string
	// Claims are in ID tokens and userinfo besides those of every provider (name, email,
	// preferred_username), or in place of them; nil leaves a claim out. Those that the protocol
	// defines, such as sub, cannot be replaced: see Provider.Sign.
	Claims map[string]any
}

// Options describe a provider. The zero value works: one client, one user, 30-second tokens.
type Options struct {
	// Addr to listen on; empty: a free port of 127.0.0.1.
	Addr string
	// TLS serves https with a certificate of an authority made at the start (Provider.CA).
	TLS bool
	// AccessTokenLifetime, whole seconds; zero: 30 s.
	AccessTokenLifetime time.Duration
	// RefreshTokenLifetime; zero: without end.
	RefreshTokenLifetime time.Duration
	// Rotation spends a refresh token when it is used and issues another. Without it the answer to
	// a refresh has no refresh token.
	Rotation bool
	// ReuseDetection ends all tokens of a consent when a spent refresh token comes back.
	ReuseDetection bool
	// RetryGrace honours a refresh token for this long after it was first spent.
	RetryGrace time.Duration
	// RequirePKCE refuses authorization requests without an S256 challenge.
	RequirePKCE bool
	// Introspection is served (RFC 7662) and advertised.
	Introspection bool
	// DeviceLifetime of a device code; zero: 5 minutes.
	DeviceLifetime time.Duration
	// DeviceInterval between polls, whole seconds; zero: 1 s. Who asks more often is told to slow down,
	// and has to.
	DeviceInterval time.Duration
	// Trusts are believed in the JWT bearer grant and in token exchanges.
	Trusts []Federation
	// Clients; empty: DefaultClient.
	Clients []Client
	// Users; empty: DefaultUser.
	Users []User
	// Clock decides on expiry; nil: the system's.
	Clock clock.PassiveClock
}

const (
	defaultAccessTokenLifetime = 30 * time.Second
	defaultDeviceLifetime      = 5 * time.Minute
)

// DefaultClient is registered where Options name no client. It may return to any loopback address.
func DefaultClient() Client {
	return Client{ID: "oauth-operator", Secret: "provider-client-secret", RedirectBase: "http{,s}://{127.0.0.1,localhost}:*"}
}

// DefaultUser can sign in where Options name no user.
func DefaultUser() User {
	return User{Name: "alice", Password: "wonderland", Email: "alice@example.com"}
}

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.AccessTokenLifetime == 0 {
		o.AccessTokenLifetime = defaultAccessTokenLifetime
	}
	if o.DeviceLifetime == 0 {
		o.DeviceLifetime = defaultDeviceLifetime
	}
	if o.DeviceInterval == 0 {
		o.DeviceInterval = time.Second
	}
	if len(o.Clients) == 0 {
		o.Clients = []Client{DefaultClient()}
	}
	if len(o.Users) == 0 {
		o.Users = []User{DefaultUser()}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Provider is a running provider.
type Provider struct {
	issuer  string
	storage *storage
	server  *http.Server
	ca      []byte

	log    requestLog
	faults faultQueues
}

// New starts a provider that serves until Close.
func New(o Options) (*Provider, error) {
	o = o.withDefaults()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	p, err := serve(listener, o)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return p, nil
}

func serve(listener net.Listener, o Options) (*Provider, error) {
	p := &Provider{issuer: "http://" + listener.Addr().String()}
	var err error
	if o.TLS {
		p.issuer = "https://" + listener.Addr().String()
		if listener, p.ca, err = secure(listener); err != nil {
			return nil, err
		}
	}
	if p.storage, err = newStorage(o, p.issuer); err != nil {
		return nil, err
	}
	handler, err := p.handler()
	if err != nil {
		return nil, err
	}
	p.server = newServer(handler)
	go func() { _ = p.server.Serve(listener) }() // until Close
	return p, nil
}

// Close stops serving and cuts what is hanging.
func (p *Provider) Close() { _ = p.server.Close() }

// Issuer is the provider's issuer identifier and base address, without a trailing slash.
func (p *Provider) Issuer() string { return p.issuer }

// URL is the address of an endpoint.
func (p *Provider) URL(e Endpoint) string { return p.issuer + string(e) }

// CA is the PEM certificate of the authority; nil without Options.TLS.
func (p *Provider) CA() []byte { return p.ca }

// HTTPClient trusts the provider's authority.
func (p *Provider) HTTPClient() *http.Client { return &http.Client{Transport: transport(p.ca)} }

// AccessTokenValid says whether the protected resource would accept the token now.
func (p *Provider) AccessTokenValid(token string) bool {
	_, ok := p.storage.accessToken(token)
	return ok
}

// Sign makes a JWT of any claims with the key of the provider's ID tokens: what the provider itself
// would never issue.
func (p *Provider) Sign(claims any) (string, error) { return p.storage.key.sign(claims) }

// RevokeConsents ends everything a user has ever consented to, as a person would in the settings
// of the account: the next refresh is answered with invalid_grant.
func (p *Provider) RevokeConsents(user string) { p.storage.revokeConsents(user) }

// Reuses counts spent refresh tokens that came back outside RetryGrace.
func (p *Provider) Reuses() int { return p.storage.reuseCount() }

// Issued lists every code, device code, access, refresh and ID token issued since the start.
func (p *Provider) Issued() []string { return p.log.issuedValues() }

// Received lists every state, nonce, code verifier, client secret, assertion and subject token received
// since the start.
func (p *Provider) Received() []string { return p.log.receivedValues() }
