// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// The tests of this file drive the protocol against somebody else's implementation of it.

func start(t *testing.T, o idp.Options) *idp.Provider {
	t.Helper()
	p, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// registered is the protocol's side of a registration.
func registered(p *idp.Provider, id, secret string, how oauth.Authentication) *oauth.Client {
	return &oauth.Client{
		Issuer: p.Issuer(), ID: id, Secret: oauth.NewSecret(secret), Authentication: how, PKCE: true,
		Scopes: []string{"openid", "offline_access"}, RedirectURI: "http://127.0.0.1:1/callback/x", HTTP: p.HTTPClient(),
		Endpoints: oauth.Endpoints{
			Authorization: p.URL(idp.Authorize), Token: p.URL(idp.Token), Revocation: p.URL(idp.Revocation),
			Introspection: p.URL(idp.Introspection), DeviceAuthorization: p.URL(idp.DeviceAuthorization),
		},
	}
}

// authority signs tokens, as a client or an API server does.
type authority struct{ key *ecdsa.PrivateKey }

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key}
}

func (a authority) signs(issuer, subject, audience string) func(context.Context) (oauth.Secret, error) {
	return func(context.Context) (oauth.Secret, error) {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
		if err != nil {
			return oauth.Secret{}, err
		}
		token, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: issuer, Subject: subject, Audience: jwt.Audience{audience}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
		}).Serialize()
		return oauth.NewSecret(token), err
	}
}

// connect walks a person through consent and exchanges the code.
func connect(t *testing.T, c *oauth.Client) *oauth.Token {
	t.Helper()
	verifier := oauth.Random()
	address, err := c.Authorize(t.Context(), "the-state", verifier, "the-nonce")
	if err != nil {
		t.Fatal(err)
	}
	var arrived url.Values
	browser := &idp.Browser{Until: func(next *url.URL) bool {
		if strings.HasPrefix(next.String(), c.RedirectURI) {
			arrived = next.Query()
		}
		return arrived != nil
	}}
	if _, err := browser.Connect(t.Context(), address, idp.DefaultUser()); err != nil {
		t.Fatal(err)
	}
	response, ok := oauth.ParseResponse(arrived, "")
	if !ok {
		t.Fatalf("the response is %v", arrived)
	}
	token, err := c.Exchange(t.Context(), response.Code, oauth.NewSecret(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// code is the Code of an error.
func code(err error) string {
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestEachWayToAuthenticateConnectsRefreshesAndRevokes(t *testing.T) {
	const cluster, audience, robot = "https://cluster.example", "api://AzureADTokenExchange", "system:serviceaccount:team-a:robot"
	own, apiServer, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	base := idp.Client{ID: "app", RedirectURIs: []string{"http://127.0.0.1:1/callback/x"}}
	tests := map[oauth.Authentication]struct {
		register func(*idp.Client)
		wrong    func(*idp.Provider, *oauth.Client)
	}{
		oauth.Basic: {func(c *idp.Client) { c.Secret, c.AuthMethod = "s e/c+r:et", idp.Basic }, forget},
		oauth.Post:  {func(c *idp.Client) { c.Secret, c.AuthMethod = "s e/c+r:et", idp.Post }, forget},
		oauth.None:  {func(*idp.Client) {}, func(_ *idp.Provider, c *oauth.Client) { c.ID = "another" }},
		oauth.PrivateKeyJWT: {
			func(c *idp.Client) {
				c.Keys = []jose.JSONWebKey{{Key: own.key.Public(), KeyID: "k1", Algorithm: string(jose.ES256)}}
			},
			func(p *idp.Provider, c *oauth.Client) { c.Assertion = stranger.signs("app", "app", p.Issuer()) },
		},
		oauth.ServiceAccountToken: {
			func(c *idp.Client) {
				keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{apiServer.key.Public()}}
				c.Federated = []idp.Federation{{Issuer: cluster, Audience: audience, Subject: robot, Keys: keys}}
			},
			func(_ *idp.Provider, c *oauth.Client) {
				c.Assertion = apiServer.signs(cluster, "system:serviceaccount:team-b:robot", audience)
			},
		},
	}
	for how, test := range tests {
		t.Run(string(how), func(t *testing.T) {
			registration := base
			test.register(&registration)
			p := start(t, idp.Options{Rotation: true, ReuseDetection: true, Introspection: how != oauth.None, Clients: []idp.Client{registration}})
			c := registered(p, "app", registration.Secret, how)
			if c.Assertion = own.signs("app", "app", p.Issuer()); how == oauth.ServiceAccountToken {
				c.Assertion = apiServer.signs(cluster, robot, audience)
			}
			first := connect(t, c)
			if err := c.CheckIDToken(first, "the-nonce"); err != nil {
				t.Error(err)
			}
			second, err := c.Refresh(t.Context(), first)
			if err != nil || !p.AccessTokenValid(second.AccessToken.Reveal()) || second.RefreshToken.Equal(first.RefreshToken) {
				t.Fatalf("refreshed to %+v, %v", second, err)
			}
			if how != oauth.None {
				told, err := c.Introspect(t.Context(), second.AccessToken)
				if err != nil || !told.Active || told.Expiry.Sub(second.Expiry).Abs() > 2*time.Second || len(told.Scopes) != 2 {
					t.Errorf("introspected %+v, %v, expiry %s", told, err, second.Expiry)
				}
			}
			wrong := *c
			test.wrong(p, &wrong)
			_, err = wrong.Refresh(t.Context(), second)
			wantKind(t, err, oauth.ClientRejected)
			if err := c.Revoke(t.Context(), second); err != nil {
				t.Errorf("revoked: %v", err)
			}
			_, err = c.Refresh(t.Context(), second)
			wantKind(t, err, oauth.Reauthorize)
		})
	}
}

func forget(_ *idp.Provider, c *oauth.Client) { c.Secret = oauth.NewSecret("wrong") }

func TestADeviceIsConnected(t *testing.T) {
	for _, how := range []oauth.Authentication{oauth.None, oauth.Basic, oauth.Post} {
		t.Run(string(how), func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(time.Now())
			device := idp.Client{ID: "tv", Grants: []string{idp.GrantDeviceCode, "refresh_token"}}
			if how != oauth.None {
				device.Secret = "device-secret"
			}
			p := start(t, idp.Options{Clock: clock, Rotation: true, Clients: []idp.Client{device}})
			c := registered(p, "tv", device.Secret, how)
			c.Clock = clock.Now
			ask := func() *oauth.DeviceAuthorization {
				t.Helper()
				d, err := c.AskDevice(t.Context())
				if err != nil || d.Interval != time.Second || d.Expires.Sub(clock.Now()).Round(time.Second) != 5*time.Minute || d.VerificationURI != p.URL(idp.DeviceCode) {
					t.Fatalf("got %+v, %v", d, err)
				}
				return d
			}
			poll := func(d *oauth.DeviceAuthorization, want string) *oauth.Token {
				t.Helper()
				token, err := c.PollDevice(t.Context(), d.DeviceCode)
				if code(err) != want || (err == nil) != (want == "") {
					t.Fatalf("got %v, want %q", err, want)
				}
				clock.SetTime(clock.Now().Add(20 * time.Second))
				return token
			}
			d := ask()
			poll(d, "authorization_pending")
			clock.SetTime(clock.Now().Add(-19*time.Second - 500*time.Millisecond))
			poll(d, "slow_down")
			if _, err := (&idp.Browser{}).Connect(t.Context(), d.VerificationURIComplete, idp.DefaultUser()); err != nil {
				t.Fatal(err)
			}
			token := poll(d, "")
			next, err := oauth.DeviceCode{}.Token(t.Context(), c, token)
			if err != nil || !p.AccessTokenValid(next.AccessToken.Reveal()) {
				t.Fatalf("refreshed to %+v, %v", next, err)
			}
			denied := ask()
			if _, err := (&idp.Browser{}).Deny(t.Context(), denied.VerificationURIComplete, idp.DefaultUser()); err != nil {
				t.Fatal(err)
			}
			poll(denied, "access_denied")
			late := ask()
			clock.SetTime(clock.Now().Add(6 * time.Minute))
			poll(late, "expired_token")
		})
	}
}

func TestSomebodyElsesTokenIsTraded(t *testing.T) {
	const cluster, audience, robot = "https://cluster.example", "sts", "system:serviceaccount:team-a:robot"
	apiServer, own := newAuthority(t), newAuthority(t)
	p := start(t, idp.Options{
		Trusts: []idp.Federation{{Issuer: cluster, Audience: audience, Keys: &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{apiServer.key.Public()}}}},
		Clients: []idp.Client{
			{ID: "signer@example.com", Keys: []jose.JSONWebKey{{Key: own.key.Public(), KeyID: "k1", Algorithm: string(jose.ES256)}}, Grants: []string{idp.GrantJWTBearer}},
			{ID: "", Grants: []string{idp.GrantTokenExchange}},
			{ID: "app", Secret: "app-secret", Grants: []string{idp.GrantTokenExchange}},
		},
	})
	nobody, app := registered(p, "", "", oauth.None), registered(p, "app", "app-secret", oauth.Basic)
	for name, test := range map[string]struct {
		grant   oauth.Grant
		client  *oauth.Client
		subject func(context.Context) (oauth.Secret, error)
	}{
		"an assertion that a client signs":        {oauth.JWTBearer{}, nobody, own.signs("signer@example.com", "signer@example.com", p.Issuer())},
		"an assertion of a ServiceAccount":        {oauth.JWTBearer{}, nobody, apiServer.signs(cluster, robot, audience)},
		"a subject token of nobody's client":      {oauth.TokenExchange{}, nobody, apiServer.signs(cluster, robot, audience)},
		"a subject token, and who trades it":      {oauth.TokenExchange{}, app, apiServer.signs(cluster, robot, audience)},
		"a subject token, the secret in the body": {oauth.TokenExchange{}, registered(p, "app", "app-secret", oauth.Post), apiServer.signs(cluster, robot, audience)},
	} {
		t.Run(name, func(t *testing.T) {
			c := *test.client
			c.Subject.Token, c.Scopes = test.subject, []string{"read"}
			token, err := test.grant.Token(t.Context(), &c, nil)
			if err != nil || !p.AccessTokenValid(token.AccessToken.Reveal()) || token.Expiry.IsZero() {
				t.Fatalf("got %+v, %v", token, err)
			}
			c.Subject.Token = newAuthority(t).signs(cluster, robot, audience)
			if _, err := test.grant.Token(t.Context(), &c, nil); code(err) == "" {
				t.Errorf("with a stranger's token: %v", err)
			}
		})
	}
}
