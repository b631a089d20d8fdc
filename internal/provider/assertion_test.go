// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	made["RSA"], _ = rsa.GenerateKey(rand.Reader, 2048)
	made["P-256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	made["P-384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	made["P-521"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	made["P-224"], _ = ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	_, made["Ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	return made
})

func block(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key crypto.Signer) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", der, err)
}

func jwk(t testing.TB, key any, id, algorithm string) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id, Algorithm: algorithm})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// certify makes a certificate of a key, in PEM.
func certify(t testing.TB, key crypto.Signer, name string, from, to time.Time) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return block("CERTIFICATE", der, err)
}

// signing is a connection whose client signs with a key of Secret s.
func signing(secretKey, keyID, algorithm string) *v1alpha1.OAuthConnection {
	conn := connection(plain())
	conn.Spec.Client.Authentication, conn.Spec.Client.KeyID, conn.Spec.Client.Algorithm = v1alpha1.ClientAuthenticationPrivateKeyJWT, keyID, algorithm
	conn.Spec.Client.SecretRef.Key = secretKey
	return conn
}

// opened verifies an assertion and gives its header and claims.
func opened(t testing.TB, assertion oauth.Secret, key crypto.PublicKey) (jose.Header, map[string]any) {
	t.Helper()
	algorithms := []jose.SignatureAlgorithm{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	signed, err := jose.ParseSignedCompact(assertion.Reveal(), algorithms)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(key)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header, claims
}

func asserted(t testing.TB, c *oauth.Client) oauth.Secret {
	t.Helper()
	if c.Assertion == nil {
		t.Fatal("there is no assertion")
	}
	assertion, err := c.Assertion(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return assertion
}

func TestAssertionsAreSignedWithEveryAlgorithmThatSuitsTheKey(t *testing.T) {
	rsaKey := keys()["RSA"].(*rsa.PrivateKey)
	ecKey, ecErr := x509.MarshalECPrivateKey(keys()["P-256"].(*ecdsa.PrivateKey))
	tests := map[string]struct {
		key                   string // of keys
		stored, keyID, chosen string
		algorithm, kid        string // wanted
	}{
		"RSA, PKCS #1":     {"RSA", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "", "", "RS256", ""},
		"RSA, PKCS #8":     {"RSA", pkcs8(rsaKey), "k1", "", "RS256", "k1"},
		"RSA, JWK":         {"RSA", jwk(t, rsaKey, "own", ""), "", "", "RS256", "own"},
		"RSA, JWK for PS":  {"RSA", jwk(t, rsaKey, "own", "PS384"), "mine", "", "PS384", "mine"},
		"EC":               {"P-256", block("EC PRIVATE KEY", ecKey, ecErr), "", "", "ES256", ""},
		"EC with its name": {"P-256", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + block("EC PRIVATE KEY", ecKey, ecErr), "", "", "ES256", ""},
		"P-384":            {"P-384", pkcs8(keys()["P-384"]), "", "", "ES384", ""},
		"P-521":            {"P-521", pkcs8(keys()["P-521"]), "", "", "ES512", ""},
		"Ed25519":          {"Ed25519", pkcs8(keys()["Ed25519"]), "", "", "EdDSA", ""},
		"Ed25519, JWK":     {"Ed25519", jwk(t, keys()["Ed25519"], "ed", "EdDSA"), "", "", "EdDSA", "ed"},
	}
	for _, algorithm := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		test := tests["RSA, PKCS #8"]
		test.chosen, test.algorithm = algorithm, algorithm
		tests[algorithm] = test
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := setup(t, nil, secret("team-a", "s", test.stored))
			resolved := e.resolve(t, signing("", test.keyID, test.chosen))
			if resolved.Authentication != oauth.PrivateKeyJWT || !resolved.Secret.IsZero() {
				t.Errorf("it authenticates by %s", resolved.Authentication)
			}
			header, claims := opened(t, asserted(t, &resolved.Client), keys()[test.key].Public())
			if header.Algorithm != test.algorithm || header.KeyID != test.kid || header.ExtraHeaders["typ"] != "JWT" {
				t.Errorf("the header is %+v", header)
			}
			id, now := claims["jti"], float64(e.clock.Now().Unix())
			delete(claims, "jti")
			want := map[string]any{"iss": "id", "sub": "id", "aud": "https://idp.example/token", "iat": now, "exp": now + 60}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Error(diff)
			}
			if _, again := opened(t, asserted(t, &resolved.Client), keys()[test.key].Public()); again["jti"] == id || id == nil {
				t.Error("two assertions have one id")
			}
		})
	}
}

func TestAnAssertionIsMadeForTheIssuerWhereThereIsOne(t *testing.T) {
	p := newIDP(t)
	p.document(openID, nil)
	key := keys()["P-256"]
	e := setup(t, p, secret("team-a", "s", pkcs8(key)))
	audience := func(spec v1alpha1.ProviderSpec, metadata map[string]string) any {
		conn := signing("", "", "")
		conn.Spec.Provider = &spec
		c, err := e.resolve(t, conn).For(metadata)
		if err != nil {
			t.Fatal(err)
		}
		_, claims := opened(t, asserted(t, c), key.Public())
		return claims["aud"]
	}
	issuer := v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL)}
	if got := audience(issuer, nil); got != p.URL {
		t.Errorf("with an issuer it is %v", got)
	}
	issuer.AssertionAudience = "https://elsewhere.example"
	if got := audience(issuer, nil); got != "https://elsewhere.example" {
		t.Errorf("with an audience of its own it is %v", got)
	}
	if got := audience(regional(), map[string]string{"dc": "eu"}); got != "https://accounts.eu.example/token" {
		t.Errorf("with a token endpoint that metadata fills it is %v", got)
	}
}

func TestTheCertificateBesideAKeyIsNamed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key := keys()["RSA"]
	stored := secret("team-a", "s", "")
	stored.Data = map[string][]byte{
		corev1.TLSPrivateKeyKey: []byte(pkcs8(key)), corev1.TLSCertKey: []byte(certify(t, key, "app", now, now.Add(time.Hour))),
	}
	// tls.key takes the place of the key that was defaulted.
	header, _ := opened(t, asserted(t, &setup(t, nil, stored).resolve(t, signing("client-secret", "", "PS256")).Client), key.Public())
	for _, name := range []jose.HeaderKey{"x5t", "x5t#S256"} {
		if text, _ := header.ExtraHeaders[name].(string); len(text) < 27 {
			t.Errorf("%s is %v", name, header.ExtraHeaders[name])
		}
	}
	stored.Data[corev1.TLSCertKey] = []byte(certify(t, keys()["P-256"], "other", now, now.Add(time.Hour)))
	header, _ = opened(t, asserted(t, &setup(t, nil, stored).resolve(t, signing(corev1.TLSPrivateKeyKey, "", "")).Client), key.Public())
	if header.ExtraHeaders["x5t"] != nil {
		t.Error("the certificate of another key is named")
	}
}

func TestKeysThatCannotSignAreRefusedWithoutTheirText(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // too short on purpose
	if err != nil {
		t.Skip("this Go makes no short keys")
	}
	public, err := x509.MarshalPKIXPublicKey(keys()["RSA"].Public())
	publicPEM := block("PUBLIC KEY", public, err)
	broken := strings.Replace(pkcs8(keys()["RSA"]), "MII", "AAA", 1)
	for name, test := range map[string]struct {
		stored, algorithm string
		words             []string
	}{
		"a client secret":     {"hush-hush", "", []string{`Secret "s"`, `"client-secret"`, "neither a private key in PEM nor a JWK"}},
		"a public key":        {publicPEM, "", []string{"a public key"}},
		"a public JWK":        {jwk(t, keys()["RSA"].Public(), "", ""), "", []string{"a public key"}},
		"a symmetric JWK":     {`{"kty":"oct","k":"aHVzaA"}`, "", []string{"JWK"}},
		"a set of JWKs":       {`{"keys":[]}`, "", []string{"one key, not a set"}},
		"Google's key file":   {`{"type":"service_account","private_key":"hush"}`, "", []string{"a Google key file", "jq -r .private_key"}},
		"encrypted":           {block("ENCRYPTED PRIVATE KEY", []byte("x"), nil), "", []string{"passphrase"}},
		"broken":              {broken, "", []string{"cannot be read"}},
		"short":               {pkcs8(short), "", []string{"2048 bits"}},
		"another curve":       {pkcs8(keys()["P-224"]), "", []string{"another curve"}},
		"another algorithm":   {pkcs8(keys()["RSA"]), "ES256", []string{"spec.client.algorithm:", "ES256 does not suit", "an RSA key", "RS256"}},
		"another curve's":     {pkcs8(keys()["P-384"]), "ES256", []string{"spec.client.algorithm:", "an EC key on P-384", "ES384"}},
		"EdDSA for a EC key":  {pkcs8(keys()["P-256"]), "EdDSA", []string{"spec.client.algorithm:"}},
		"PS256 for Ed25519's": {pkcs8(keys()["Ed25519"]), "PS256", []string{"an Ed25519 key"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := setup(t, nil, secret("team-a", "s", test.stored))
			refusal := e.refused(t, signing("", "", test.algorithm), v1alpha1.ReasonClientKeyInvalid, test.words...)
			if refusal.Retry == 0 || strings.Contains(refusal.Message, "hush") || strings.Contains(refusal.Message, "AAA") {
				t.Errorf("%v, looked at again after %v", refusal, refusal.Retry)
			}
		})
	}
	e := setup(t, nil)
	e.refused(t, signing("", "", ""), v1alpha1.ReasonClientSecretNotFound, "spec.client.secretRef", "create secret generic s --from-file=client-secret=…")
}
