// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
)

// certifiedClients bounds the connection pools: each Secret has its own.
const certifiedClients = 256

// certified is a client that shows a certificate, and which.
type certified struct {
	version             string
	http                *http.Client
	notBefore, notAfter time.Time
}

func newCertified() (*lru.Cache[types.NamespacedName, *certified], error) {
	return lru.NewWithEvict(certifiedClients, func(_ types.NamespacedName, c *certified) { c.http.CloseIdleConnections() })
}

// clientCertificate makes the client show the certificate of its Secret (RFC 8705). A renewed one is
// used from the next request on.
func (r *Resolver) clientCertificate(ctx context.Context, resolved *Resolved, s *source) error {
	field := s.clientSecretField()
	field.key, field.kind = corev1.TLSCertKey, certificateAndKey
	secret, err := r.secret(ctx, field)
	if err != nil {
		return err
	}
	c, err := r.certifiedClient(field, secret)
	if err != nil {
		return err
	}
	field.reason = v1alpha1.ReasonClientKeyInvalid
	switch now := r.Clock.Now(); {
	case now.After(c.notAfter):
		return field.errorf("the certificate in Secret %q has expired on %s; renew it (cert-manager: cmctl renew)", field.name, c.notAfter.UTC().Format(time.RFC3339))
	case now.Before(c.notBefore):
		return field.errorf("the certificate in Secret %q is not valid before %s; wait, or issue another", field.name, c.notBefore.UTC().Format(time.RFC3339))
	}
	resolved.HTTP = c.http
	resolved.Revision += "/" + secret.ResourceVersion
	return nil
}

func (r *Resolver) certifiedClient(field secretField, secret *corev1.Secret) (*certified, error) {
	name := types.NamespacedName{Namespace: field.namespace, Name: field.name}
	version := string(secret.UID) + "/" + secret.ResourceVersion
	if known, found := r.cache.certified.Get(name); found && known.version == version {
		return known, nil
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		field.key = key
		if _, err := field.value(secret); err != nil {
			return nil, err
		}
	}
	field.reason = v1alpha1.ReasonClientKeyInvalid
	refused := field.errorf("Secret %q key %q holds a key of more than 8192 bits; use a smaller one", field.name, field.key)
	if len(secret.Data[corev1.TLSPrivateKeyKey]) > maxKey {
		return nil, refused
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil { // its text may quote the key
		return nil, field.errorf("Secret %q holds no pair of certificate (tls.crt) and private key (tls.key) that belong together, in PEM; "+
			"store one: %s", field.name, field.create())
	}
	if tooLong(pair.PrivateKey) {
		return nil, refused
	}
	made := &certified{
		version: version, http: egress.NewClientWith(r.Policy, pair), notBefore: pair.Leaf.NotBefore, notAfter: pair.Leaf.NotAfter,
	}
	// Taking the old one out closes what it keeps open; requests under way end undisturbed.
	r.cache.certified.Remove(name)
	r.cache.certified.Add(name, made)
	return made, nil
}
