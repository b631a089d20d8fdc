// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// Lifetime is how long a person has at the provider.
const Lifetime = 10 * time.Minute

// Provider is the OpenID provider that people sign in at. Make one with New; it is safe for
// concurrent use.
type Provider struct {
	config    Config
	http      *http.Client
	keyring   *seal.Keyring
	clock     clock.PassiveClock
	discovery *discovery
	// subject is what all cookies are sealed for.
	subject string
}

// New checks the configuration and asks nobody: an issuer that is down stops no operator. The client
// is that of internal/egress.
func New(c Config, client *http.Client, keyring *seal.Keyring, now clock.PassiveClock) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Provider{
		config: c, http: client, keyring: keyring, clock: now, subject: c.fingerprint(),
		discovery: &discovery{issuer: c.Issuer, http: client, clock: now},
	}, nil
}

// Start is a sign-in that was begun.
type Start struct {
	// Address is where the browser is to be sent.
	Address string
	// ID tells sign-ins of one browser apart: a part of the cookie's name. ID(query) finds it again.
	ID string
	// Cookie is the cookie's value, good for Lifetime.
	Cookie string
}

// attempt is what the cookie holds.
type attempt struct {
	State    string    `json:"state"`
	Verifier string    `json:"verifier"`
	Nonce    string    `json:"nonce"`
	ReturnTo string    `json:"to"`
	Expires  time.Time `json:"exp"`
}

// Begin starts a sign-in for a page of our own: returnTo is its path below the operator's public
// address, built by the caller of names that it has checked. The error is an *Error.
func (p *Provider) Begin(ctx context.Context, returnTo string) (*Start, error) {
	if !strings.HasPrefix(returnTo, "/connect/") || strings.ContainsAny(returnTo, "\\?#%\r\n") {
		return nil, fail(BadResponse, "the page to return to is not one of ours")
	}
	found, err := p.discovery.lookup(ctx)
	if err != nil {
		return nil, err
	}
	a := attempt{oauth.Random(), oauth.Random(), oauth.Random(), returnTo, p.clock.Now().UTC().Add(Lifetime)}
	address := p.client(found).AuthorizationURL(a.State, a.Verifier, a.Nonce)
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, unavailable("the cookie cannot be encoded", err)
	}
	id := idOf(a.State)
	cookie, err := p.seal(seal.PurposeSignIn, p.attemptSubject(id), plain)
	if err != nil {
		return nil, err
	}
	return &Start{Address: address, ID: id, Cookie: cookie}, nil
}

// ID returns which sign-in a query at CallbackPath belongs to: 16 hexadecimal digits.
func ID(query url.Values) string { return idOf(query.Get("state")) }

func idOf(state string) string { return oauth.NewSecret(state).Hash()[:16] }

// Finish ends a sign-in: cookie is that of ID(query), empty where the browser has none. It returns
// the person, and the path that Begin was given. The error is an *Error. The caller then clears the
// cookie, unless the kind is BadResponse, which others can cause, or ProviderDown or Unavailable,
// after which loading the page again may help. A cookie that stays is harmless: a code is good once.
func (p *Provider) Finish(ctx context.Context, cookie string, query url.Values) (Identity, string, error) {
	r, ok := oauth.ParseResponse(query, "")
	if !ok || r.State.IsZero() {
		return Identity{}, "", fail(BadResponse, "the response is not one of RFC 6749")
	}
	a, err := p.attempt(ctx, cookie, r.State.Reveal())
	if err != nil {
		return Identity{}, "", err
	}
	found, err := p.discovery.lookup(ctx)
	if err != nil {
		return Identity{}, "", err
	}
	if !p.client(found).IsIssuer(r.Issuer) {
		return Identity{}, "", fail(BadResponse, "the response comes from another issuer")
	}
	if r.Error != "" {
		return Identity{}, "", providerSaid(r.Error)
	}
	token, err := p.exchange(ctx, found, r.Code, oauth.NewSecret(a.Verifier))
	if err != nil {
		return Identity{}, "", err
	}
	held, err := p.verify(ctx, found, token, a.Nonce)
	if err != nil {
		return Identity{}, "", err
	}
	id, err := p.config.identity(held)
	return id, a.ReturnTo, err
}

// attempt opens the cookie of a state.
func (p *Provider) attempt(ctx context.Context, cookie, state string) (*attempt, error) {
	const foreign = "this browser has not begun this sign-in"
	plain, err := p.unseal(ctx, seal.PurposeSignIn, p.attemptSubject(idOf(state)), cookie)
	if err != nil {
		return nil, asKind(err, WrongBrowser, foreign)
	}
	var a attempt
	if json.Unmarshal(plain, &a) != nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 {
		return nil, fail(WrongBrowser, foreign)
	}
	if !p.clock.Now().Before(a.Expires) {
		return nil, fail(Expired, "the sign-in took too long")
	}
	return &a, nil
}

func (p *Provider) attemptSubject(id string) string { return p.subject + "/" + id }

// client is the operator's registration, without its secret.
func (p *Provider) client(found *metadata) *oauth.Client {
	return &oauth.Client{
		Issuer:         p.config.Issuer,
		IssInResponse:  found.IssInResponse,
		Endpoints:      found.endpoints,
		ID:             p.config.ClientID,
		Authentication: found.authentication(p.config.ClientSecret == nil),
		PKCE:           true,
		Scopes:         p.config.scopes(found.Scopes),
		RedirectURI:    p.config.RedirectURI,
		HTTP:           p.http,
		Clock:          p.clock.Now,
	}
}
