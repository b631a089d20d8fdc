// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"crypto"
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// What a cluster's tokens say, and how the provider calls itself towards clusters.
const (
	clusterIssuer = "https://cluster.example"
	audience      = "api://provider"
	robot         = "system:serviceaccount:team-a:robot"
)

// zitadel starts the other implementation: zitadel/oidc, in this process.
func zitadel(t *testing.T, o idp.Options) (*rig, *idp.Provider) {
	t.Helper()
	o.TLS = true
	p, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return newRig(t, p.Issuer(), p.CA()), p
}

// cluster signs tokens of ServiceAccounts, as an API server does.
type cluster struct{ key crypto.Signer }

func (c cluster) federation(subject string) idp.Federation {
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{c.key.Public()}}
	return idp.Federation{Issuer: clusterIssuer, Audience: audience, Subject: subject, Keys: keys}
}

func (c cluster) token(namespace, name, audience string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: c.key}, nil)
	if err != nil {
		return "", err
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clusterIssuer, Subject: "system:serviceaccount:" + namespace + ":" + name, Audience: jwt.Audience{audience},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(10 * time.Minute)),
	}).Serialize()
}

// accepted fails unless the provider takes the token for one of this account.
func (r *rig) accepted(p *idp.Provider, token *oauth.Token, err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
	if !p.AccessTokenValid(token.AccessToken.Reveal()) || token.Expiry.IsZero() {
		r.Error("the provider does not take its own token")
	}
}

func TestAClientSignsForZitadel(t *testing.T) {
	rsa, ec := rsaKey(t), ecKey(t, elliptic.P256())
	for algorithm, key := range map[string]crypto.Signer{"RS256": rsa, "PS256": rsa, "ES256": ec} {
		t.Run(algorithm, func(t *testing.T) {
			r, p := zitadel(t, idp.Options{Rotation: true, Introspection: true, Clients: []idp.Client{{
				ID: "app", Keys: public(key, "k1").Keys, RedirectURIs: []string{redirectURI},
			}}})
			r.secret("client", map[string][]byte{"client-secret": keyPEM(t, key)})
			spec := strings.Replace(signed, "ALG", algorithm, 1)
			r.lives(spec)
			_, c := r.resolved(strings.Replace(spec, "AuthorizationCode", "ClientCredentials", 1))
			token, err := r.granted(string(v1alpha1.GrantClientCredentials), c)
			r.accepted(p, token, err)
		})
	}
}

const byServiceAccount = `
client: {id: app, authentication: ServiceAccountToken, serviceAccountRef: {name: robot, audience: "` + audience + `"}}
grant: AuthorizationCode
redirect: Hosted
scopes: [openid, email, offline_access]
`

func TestAServiceAccountsTokenTakesThePlaceOfASecret(t *testing.T) {
	home, foreign := cluster{ecKey(t, elliptic.P256())}, cluster{ecKey(t, elliptic.P256())}
	r, p := zitadel(t, idp.Options{Rotation: true, Introspection: true, Clients: []idp.Client{{
		ID: "app", Federated: []idp.Federation{home.federation(robot)}, RedirectURIs: []string{redirectURI},
	}}})
	r.resolver.Tokens = serviceAccounts(home.token)
	r.lives(byServiceAccount)
	machine := strings.Replace(byServiceAccount, "AuthorizationCode", "ClientCredentials", 1)
	_, c := r.resolved(machine)
	token, err := r.granted(string(v1alpha1.GrantClientCredentials), c)
	r.accepted(p, token, err)
	for name, source := range map[string]serviceAccounts{
		"another cluster's": foreign.token,
		"another account's": func(namespace, _, audience string) (string, error) { return home.token(namespace, "other", audience) },
		"another audience":  func(namespace, name, _ string) (string, error) { return home.token(namespace, name, "elsewhere") },
	} {
		r.resolver.Tokens = source
		_, c := r.resolved(machine)
		_, err := r.granted(string(v1alpha1.GrantClientCredentials), c)
		if codeOf(err) != "invalid_client" {
			t.Errorf("%s token: %v", name, err)
		}
	}
}

// A token that cannot be had is found out before anything is sent.
func TestNothingIsSentWithoutTheServiceAccountsToken(t *testing.T) {
	home := cluster{ecKey(t, elliptic.P256())}
	r, p := zitadel(t, idp.Options{Clients: []idp.Client{{ID: "app", Federated: []idp.Federation{home.federation(robot)}}}})
	r.resolver.Tokens = serviceAccounts(func(string, string, string) (string, error) { return "", errors.New("forbidden") })
	conn := r.connection(strings.Replace(byServiceAccount, "AuthorizationCode", "ClientCredentials", 1))
	if found, err := r.resolver.Connection(t.Context(), conn); err == nil {
		c, err := found.For(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.granted(string(v1alpha1.GrantClientCredentials), c); err == nil {
			t.Error("a token was obtained")
		}
	}
	if n := p.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

func TestAnAssertionIsTradedForATokenOfTheProvider(t *testing.T) {
	home, own := cluster{ecKey(t, elliptic.P256())}, rsaKey(t)
	r, p := zitadel(t, idp.Options{
		Trusts: []idp.Federation{home.federation("")},
		Clients: []idp.Client{
			{ID: "signer@example.com", Keys: public(own, "k1").Keys, Grants: []string{idp.GrantJWTBearer}},
			{ID: "", Grants: []string{idp.GrantTokenExchange}},
			{ID: "app", Secret: "s3cret", Grants: []string{idp.GrantTokenExchange, idp.GrantJWTBearer}},
		},
	})
	r.resolver.Tokens = serviceAccounts(home.token)
	held, err := home.token("team-a", "other", audience)
	if err != nil {
		t.Fatal(err)
	}
	r.secret("held", map[string][]byte{"token": []byte(held)})
	r.secret("key", map[string][]byte{"private": keyPEM(t, own)})
	withSecret(r)
	const (
		ofServiceAccount = "subject: {serviceAccountRef: {name: robot, audience: '" + audience + "'}}\n"
		ofSecret         = "subject: {secretRef: {name: held, key: token}}\n"
		ofKey            = "subject: {signedJWT: {keyRef: {name: key, key: private}, keyID: k1, issuer: signer@example.com, subject: signer@example.com, algorithm: RS256}}\n"
		confidential     = "client: {id: app, authentication: ClientSecretBasic, secretRef: {name: client, key: client-secret}}\n"
		posting          = "client: {id: app, authentication: ClientSecretPost, secretRef: {name: client, key: client-secret}}\n"
		bearer, exchange = "grant: JWTBearer\n", "grant: TokenExchange\n"
	)
	for name, spec := range map[string]string{
		"bearer, ServiceAccount":                   bearer + ofServiceAccount,
		"bearer, held by a Secret":                 bearer + ofSecret,
		"bearer, signed":                           bearer + ofKey,
		"bearer, with a client":                    bearer + confidential + ofServiceAccount,
		"exchange, ServiceAccount":                 exchange + ofServiceAccount,
		"exchange, held by a Secret":               exchange + ofSecret,
		"exchange, with a client":                  exchange + confidential + ofServiceAccount,
		"exchange, with a client, secret in body":  exchange + posting + ofSecret,
		"exchange, another kind of token is asked": exchange + strings.Replace(ofSecret, "}}", "}, requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token'}", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			conn := r.connection(spec + "scopes: [read]\n")
			_, c := r.resolved(spec + "scopes: [read]\n")
			token, err := r.granted(string(conn.Spec.Grant), c)
			r.accepted(p, token, err)
			if len(token.Scopes) != 1 || token.Scopes[0] != "read" {
				t.Errorf("scopes %v", token.Scopes)
			}
		})
	}
	// The Secret is read before every request: whoever keeps the token fresh is followed.
	r.secret("held", map[string][]byte{"token": []byte("expired")})
	for _, spec := range []string{bearer + ofSecret, exchange + ofSecret} {
		conn := r.connection(spec)
		_, c := r.resolved(spec)
		if _, err := r.granted(string(conn.Spec.Grant), c); err == nil {
			t.Errorf("%s: a token that nobody signed is accepted", conn.Spec.Grant)
		}
	}
}

func TestADeviceIsConnectedAtZitadel(t *testing.T) {
	for name, row := range map[string]struct {
		client idp.Client
		spec   string
	}{
		"public":       {idp.Client{ID: "tv"}, byDevice},
		"confidential": {idp.Client{ID: "tv", Secret: "s3cret"}, strings.Replace(byDevice, "authentication: None", "secretRef: {name: client, key: client-secret}", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			row.client.Grants = []string{idp.GrantDeviceCode, "refresh_token"}
			r, p := zitadel(t, idp.Options{Rotation: true, DeviceInterval: time.Minute, Clients: []idp.Client{row.client}})
			withSecret(r)
			found, c := r.resolved(row.spec)
			device, err := c.AskDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.PollDevice(t.Context(), device.DeviceCode)
			r.wantPending(err, "authorization_pending")
			_, err = c.PollDevice(t.Context(), device.DeviceCode)
			r.wantPending(err, "slow_down")
			other, err := c.AskDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if page := r.walk(other.VerificationURIComplete, ""); !strings.Contains(page.Body, "The device is connected") {
				t.Fatal(page.Body)
			}
			token, err := c.PollDevice(t.Context(), other.DeviceCode)
			r.accepted(p, token, err)
			if err := found.VerifyIDToken(t.Context(), token, ""); err != nil {
				t.Error(err)
			}
			r.accepted(p, r.refreshed(c, token), nil)
		})
	}
}
