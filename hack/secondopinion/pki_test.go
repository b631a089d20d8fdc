// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// authority signs certificates; it trusts itself.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// pair is a certificate with its key, both also as PEM.
type pair struct {
	certificate     *x509.Certificate
	certPEM, keyPEM []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := ecKey(t, elliptic.P256())
	template := template("the tests' authority", time.Hour)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	return &authority{key: key, certificate: sign(t, template, template, key.Public(), key)}
}

// server is a certificate for 127.0.0.1.
func (a *authority) server(t *testing.T) pair {
	t.Helper()
	wanted := template("127.0.0.1", time.Hour)
	wanted.IPAddresses, wanted.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key := ecKey(t, elliptic.P256())
	return newPair(t, sign(t, wanted, a.certificate, key.Public(), a.key), key)
}

// client is a certificate for a DNS name.
func (a *authority) client(t *testing.T, name string) pair {
	t.Helper()
	wanted := template(name, time.Hour)
	wanted.DNSNames, wanted.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	key := ecKey(t, elliptic.P256())
	return newPair(t, sign(t, wanted, a.certificate, key.Public(), a.key), key)
}

// selfSigned is a client's certificate that nobody vouches for.
func selfSigned(t *testing.T, name string) pair {
	t.Helper()
	wanted, key := template(name, time.Hour), ecKey(t, elliptic.P256())
	return newPair(t, sign(t, wanted, wanted, key.Public(), key), key)
}

func template(name string, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func sign(t *testing.T, wanted, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, wanted, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func newPair(t *testing.T, certificate *x509.Certificate, key crypto.PrivateKey) pair {
	t.Helper()
	return pair{certificate: certificate, certPEM: certificatePEM(certificate), keyPEM: keyPEM(t, key)}
}

func certificatePEM(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

// keyPEM is PKCS #8.
func keyPEM(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// public is the set that a client registers for a key.
func public(key crypto.Signer, id string) jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id, Use: "sig"}}}
}
