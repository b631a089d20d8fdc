// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const signed = `
client: {id: app, authentication: PrivateKeyJWT, keyID: k1, algorithm: ALG, secretRef: {name: client, key: client-secret}}
grant: AuthorizationCode
redirect: Hosted
scopes: [openid, email, offline_access]
authorizationParams: {prompt: consent}
`

// lives walks everything that a client authenticates for: push, exchange, refresh, introspection and
// revocation.
func (r *rig) lives(spec string) {
	r.Helper()
	found, c := r.resolved(spec)
	token := r.refreshed(c, r.connected(found, c))
	if !r.active(c, token).Active {
		r.Error("the token is not active")
	}
	if err := c.Revoke(r.Context(), token); err != nil {
		r.Error(err)
	}
	if r.active(c, token).Active {
		r.Error("the token is still active")
	}
}

func TestAClientSignsByEveryAlgorithm(t *testing.T) {
	key := rsaKey(t)
	ca := newAuthority(t)
	for algorithm, key := range map[string]crypto.Signer{
		"RS256": key, "RS384": key, "RS512": key, "PS256": key, "PS384": key, "PS512": key,
		"ES256": ecKey(t, elliptic.P256()), "ES384": ecKey(t, elliptic.P384()), "ES512": ecKey(t, elliptic.P521()),
		"EdDSA": edKey(t),
	} {
		t.Run(algorithm, func(t *testing.T) {
			r := node(t, ca, secondopinion.Options{
				Clients:    []secondopinion.Client{app("private_key_jwt", secondopinion.Client{"jwks": public(key, "k1"), "token_endpoint_auth_signing_alg": algorithm})},
				RequirePAR: true,
			})
			r.secret("client", map[string][]byte{"client-secret": keyPEM(t, key)})
			r.lives(strings.Replace(signed, "ALG", algorithm, 1))
		})
	}
}

// Every way to write down a private key that people have lying around.
func TestAKeyIsReadAsItIsWritten(t *testing.T) {
	rsa, ec := rsaKey(t), ecKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: ec, KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	register := func(id string, key crypto.Signer) secondopinion.Client {
		return secondopinion.Client{
			"client_id": id, "token_endpoint_auth_method": "private_key_jwt", "jwks": public(key, "k1"),
			"grant_types": []string{"client_credentials"}, "redirect_uris": []string{}, "response_types": []string{},
		}
	}
	r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{register("rsa", rsa), register("ec", ec)}})
	for name, row := range map[string]struct {
		id, key string
		data    []byte
	}{
		"PKCS #1":             {"rsa", "client-secret", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsa)})},
		"PKCS #8":             {"rsa", "private.pem", keyPEM(t, rsa)},
		"SEC 1":               {"ec", "client-secret", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})},
		"JWK":                 {"ec", "client-secret", jwk},
		"as cert-manager has": {"ec", "tls.key", keyPEM(t, ec)},
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			r.secret("client", map[string][]byte{row.key: row.data})
			_, c := r.resolved(`
client: {id: ` + row.id + `, authentication: PrivateKeyJWT, keyID: k1, secretRef: {name: client, key: ` + row.key + `}}
grant: ClientCredentials
`)
			if _, err := r.granted(string(v1alpha1.GrantClientCredentials), c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAKeyThatIsNotRegisteredIsRefused(t *testing.T) {
	registered := app("private_key_jwt", secondopinion.Client{"jwks": public(ecKey(t, elliptic.P256()), "k1")})
	r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{registered}})
	r.secret("client", map[string][]byte{"client-secret": keyPEM(t, ecKey(t, elliptic.P256()))})
	_, c := r.resolved(strings.Replace(signed, "ALG", "ES256", 1))
	_, err := c.Authorize(t.Context(), oauth.Random(), oauth.Random(), oauth.Random())
	r.wantKind(err, oauth.ClientRejected, "invalid_client")
	_, err = c.Refresh(t.Context(), &oauth.Token{RefreshToken: oauth.NewSecret("x")})
	r.wantKind(err, oauth.ClientRejected, "invalid_client")
}
