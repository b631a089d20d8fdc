// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const byCertificate = `
client: {id: app, authentication: TLS, secretRef: {name: client, key: tls.crt}}
grant: AuthorizationCode
redirect: Hosted
scopes: [openid, email, offline_access]
authorizationParams: {prompt: consent}
`

const clientName = "robot.team-a.example"

func (r *rig) certificate(p pair) {
	r.Helper()
	r.secret("client", map[string][]byte{corev1.TLSCertKey: p.certPEM, corev1.TLSPrivateKeyKey: p.keyPEM})
}

// shown fails unless a token was asked for with a certificate.
func (r *rig) shown(token *oauth.Token, p pair) {
	r.Helper()
	want := fmt.Sprintf("%X", p.certificate.SerialNumber)
	if got := token.Header.Get("X-Certificate-Shown"); strings.TrimLeft(got, "0") != want {
		r.Errorf("the certificate shown has the number %s, want %s", got, want)
	}
}

func tlsApp(more secondopinion.Client) secondopinion.Client {
	registered := app("tls_client_auth", secondopinion.Client{
		"tls_client_auth_san_dns": clientName, "tls_client_certificate_bound_access_tokens": true,
	})
	for name, value := range more {
		registered[name] = value
	}
	return registered
}

func TestARenewedCertificateIsShownFromTheNextRequestOn(t *testing.T) {
	ca := newAuthority(t)
	r := node(t, ca, secondopinion.Options{Clients: []secondopinion.Client{tlsApp(nil)}, RequirePAR: true})
	first, second := ca.client(t, clientName), ca.client(t, clientName)
	r.certificate(first)
	found, c := r.resolved(byCertificate)
	token := r.connected(found, c)
	r.shown(token, first)
	r.certificate(second) // as cert-manager does
	_, c = r.resolved(byCertificate)
	for range 2 {
		token = r.refreshed(c, token)
		r.shown(token, second)
	}
	if !r.active(c, token).Active {
		t.Error("the token is not active")
	}
	if err := c.Revoke(t.Context(), token); err != nil {
		t.Error(err)
	}
}

func TestASelfSignedCertificateIsKnownByItsFingerprint(t *testing.T) {
	first, second := selfSigned(t, clientName), selfSigned(t, clientName)
	jwk := func(p pair, id string) jose.JSONWebKey {
		return jose.JSONWebKey{Key: p.certificate.PublicKey, KeyID: id, Use: "sig", Certificates: []*x509.Certificate{p.certificate}}
	}
	registered := app("self_signed_tls_client_auth", secondopinion.Client{
		"jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk(first, "k1"), jwk(second, "k2")}},
	})
	r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{registered}, RequirePAR: true})
	for _, p := range []pair{first, second} {
		r.certificate(p)
		found, c := r.resolved(byCertificate)
		token := r.connected(found, c)
		r.shown(token, p)
		r.refreshed(c, token)
	}
	r.certificate(selfSigned(t, clientName))
	_, c := r.resolved(byCertificate)
	_, err := c.Authorize(t.Context(), oauth.Random(), oauth.Random(), oauth.Random())
	r.wantKind(err, oauth.ClientRejected, "invalid_client")
}

func TestACertificateThatIsNotTheClientsIsRefused(t *testing.T) {
	ca := newAuthority(t)
	r := node(t, ca, secondopinion.Options{Clients: []secondopinion.Client{tlsApp(secondopinion.Client{
		"grant_types": []string{"client_credentials"}, "redirect_uris": []string{}, "response_types": []string{},
	})}})
	for name, row := range map[string]struct {
		pair pair
		kind oauth.Kind
		code string
	}{
		"the client's":        {ca.client(t, clientName), 0, ""},
		"of another name":     {ca.client(t, "robot.team-b.example"), oauth.ClientRejected, "invalid_client"},
		"of another CA":       {newAuthority(t).client(t, clientName), oauth.ClientRejected, "invalid_client"},
		"that nobody signed":  {selfSigned(t, clientName), oauth.ClientRejected, "invalid_client"},
		"the client's, again": {ca.client(t, clientName), 0, ""},
	} {
		r.certificate(row.pair)
		_, c := r.resolved(strings.Replace(byCertificate, "AuthorizationCode", "ClientCredentials", 1))
		_, err := r.granted(string(v1alpha1.GrantClientCredentials), c)
		if row.kind == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		r.wantKind(err, row.kind, row.code)
	}
}

// A key pair that does not belong together, or that is over, is found before anything is sent.
func TestACertificateThatCannotWorkIsNeverShown(t *testing.T) {
	ca := newAuthority(t)
	r := node(t, ca, secondopinion.Options{Clients: []secondopinion.Client{tlsApp(nil)}})
	good := ca.client(t, clientName)
	over := template(clientName, 0)
	over.NotBefore = over.NotAfter.AddDate(0, 0, -1)
	key := ecKey(t, elliptic.P256())
	mixed := pair{certPEM: good.certPEM, keyPEM: keyPEM(t, key)}
	for name, p := range map[string]pair{
		"over":            newPair(t, sign(t, over, ca.certificate, key.Public(), ca.key), key),
		"of another key":  mixed,
		"no certificates": {certPEM: []byte("x"), keyPEM: good.keyPEM},
	} {
		r.certificate(p)
		if reason := r.refusal(byCertificate); reason != v1alpha1.ReasonClientKeyInvalid {
			t.Errorf("%s: %s", name, reason)
		}
	}
	r.certificate(good)
	r.resolved(byCertificate)
}
