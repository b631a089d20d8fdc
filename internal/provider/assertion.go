// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the x5t of RFC 7515 section 4.1.7 is one
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// assertionLife is how long an assertion can be used: it is made for one request.
	assertionLife = time.Minute
	minRSABits    = 2048
	// maxRSABits is what crypto/tls bears of others, and maxKey more than such a key takes, in bytes: to sign
	// with 65536 bits takes a minute and a half that nothing ends, with four times that an hour.
	maxRSABits, maxKey = 8192, 32 << 10
)

// clientAssertion is the assertion of RFC 7523 section 2.2.
func (r *Resolver) clientAssertion(ctx context.Context, resolved *Resolved, s *source) (maker, error) {
	field := s.clientSecretField()
	field.kind = keyFile
	secret, err := r.secret(ctx, field)
	if err != nil {
		return nil, err
	}
	if _, found := secret.Data[field.key]; !found && field.key == defaultSecretKey && len(secret.Data[corev1.TLSPrivateKeyKey]) > 0 {
		field.key = corev1.TLSPrivateKeyKey
	}
	id := s.client.ID
	signer, err := r.signer(field, secret, s.client.KeyID, s.client.Algorithm, "client.algorithm")
	if err != nil {
		return nil, err
	}
	resolved.Revision += "/" + secret.ResourceVersion
	return func(_ context.Context, audience string) (oauth.Secret, error) {
		return signer.sign(map[string]any{"iss": id, "sub": id}, audience)
	}, nil
}

// signer signs assertions with one key.
type signer struct {
	jose.Signer
	now func() time.Time
}

// sign adds audience, times and an id of its own.
func (s *signer) sign(claims map[string]any, audience string) (oauth.Secret, error) {
	now := s.now()
	claims = maps.Clone(claims)
	claims["aud"], claims["jti"] = audience, oauth.Random()
	claims["iat"], claims["exp"] = now.Unix(), now.Add(assertionLife).Unix()
	payload, err := json.Marshal(claims)
	if err != nil {
		return oauth.Secret{}, errors.New("the claims cannot be written")
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return oauth.Secret{}, errors.New("the assertion could not be signed")
	}
	compact, err := signed.CompactSerialize()
	return oauth.NewSecret(compact), err
}

// signer reads the private key of a Secret. The error never holds anything of it.
func (r *Resolver) signer(field secretField, secret *corev1.Secret, keyID, algorithm, algorithmField string) (*signer, error) {
	value, err := field.value(secret)
	if err != nil {
		return nil, err
	}
	invalid := field
	if field.reason == v1alpha1.ReasonClientSecretNotFound {
		invalid.reason = v1alpha1.ReasonClientKeyInvalid
	}
	key, err := parseKey([]byte(value.Reveal()))
	if err != nil {
		return nil, invalid.errorf("Secret %q key %q: %s", field.name, field.key, err)
	}
	override(&key.KeyID, keyID)
	suits := algorithms(key.Key)
	switch {
	case algorithm == "" && slices.Contains(suits, jose.SignatureAlgorithm(key.Algorithm)):
		algorithm = key.Algorithm // a JWK may say what it is for
	case algorithm == "":
		algorithm = string(suits[0])
	case !slices.Contains(suits, jose.SignatureAlgorithm(algorithm)):
		invalid.field = algorithmField
		return nil, invalid.errorf("%s does not suit Secret %q key %q, which holds %s; use %s", algorithm, field.name, field.key, keyName(key.Key), suits[0])
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	for name, thumbprint := range thumbprints(key.Key, secret.Data[corev1.TLSCertKey]) {
		options.WithHeader(name, thumbprint)
	}
	made, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(algorithm), Key: jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID},
	}, options)
	if err != nil {
		return nil, invalid.errorf("Secret %q key %q holds a key that cannot sign", field.name, field.key)
	}
	return &signer{made, r.Clock.Now}, nil
}

// parseKey reads a JWK (RFC 7517) or PEM. Its errors are fixed words.
func parseKey(raw []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if len(raw) > maxKey {
		return key, errors.New("more than 32 KiB, which is no key that can be used")
	}
	if trimmed := bytes.TrimSpace(raw); bytes.HasPrefix(trimmed, []byte("{")) {
		if bytes.Contains(trimmed, []byte(`"private_key"`)) {
			return key, errors.New("a Google key file; store the text under its private_key alone: jq -r .private_key FILE")
		}
		if key.UnmarshalJSON(trimmed) != nil || !key.Valid() {
			return key, errors.New("not a JWK that can be read (one key, not a set)")
		}
	} else {
		var err error
		if key.Key, err = parsePEM(raw); err != nil {
			return key, err
		}
	}
	switch k := key.Key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSABits {
			return key, errors.New("an RSA key of less than 2048 bits")
		}
		if tooLong(k) {
			return key, errors.New("an RSA key of more than 8192 bits")
		}
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return key, errors.New("a public key; the private key of the pair is needed")
	default:
		return key, errors.New("a key of another type; RSA, EC (P-256, P-384, P-521) and Ed25519 keys can be used")
	}
	if len(algorithms(key.Key)) == 0 {
		return key, errors.New("an EC key of another curve; P-256, P-384 and P-521 can be used")
	}
	return key, nil
}

func tooLong(key any) bool {
	k, ok := key.(*rsa.PrivateKey)
	return ok && k.N.BitLen() > maxRSABits
}

// parsePEM takes the first private key. OpenSSL writes EC parameters before it.
func parsePEM(raw []byte) (any, error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is encrypted; store it without a passphrase")
		case "PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY":
			key = &rsa.PublicKey{}
			if bytes.Contains(rest, []byte("PRIVATE KEY-----")) {
				continue
			}
		default:
			continue
		}
		if err != nil || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("a private key in PEM that cannot be read; store it in PKCS #8 without a passphrase")
		}
		return key, nil
	}
	return nil, errors.New("neither a private key in PEM nor a JWK")
}

// algorithms are those that suit a key, the usual one first.
func algorithms(key any) []jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	case ed25519.PrivateKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().Name {
		case "P-256":
			return []jose.SignatureAlgorithm{jose.ES256}
		case "P-384":
			return []jose.SignatureAlgorithm{jose.ES384}
		case "P-521":
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	}
	return nil
}

func keyName(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return "an RSA key"
	case *ecdsa.PrivateKey:
		return "an EC key on " + k.Curve.Params().Name
	}
	return "an Ed25519 key"
}

// thumbprints name the certificate beside a key (RFC 7515 sections 4.1.7 and 4.1.8), by which Microsoft
// Entra finds it. A certificate of another key names nothing.
func thumbprints(key any, certificate []byte) map[jose.HeaderKey]string {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	private, ok := key.(crypto.Signer)
	public, comparable := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !comparable || !public.Equal(private.Public()) {
		return nil
	}
	old, sum := sha1.Sum(leaf.Raw), sha256.Sum256(leaf.Raw) //nolint:gosec // see the import
	return map[jose.HeaderKey]string{
		"x5t":      base64.RawURLEncoding.EncodeToString(old[:]),
		"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}
