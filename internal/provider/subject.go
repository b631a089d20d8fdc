// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Seed reads the refresh token that a connection starts from, live. It is the zero Secret where the
// connection has no seed. The error is an *Error.
func (r *Resolver) Seed(ctx context.Context, conn *v1alpha1.OAuthConnection) (oauth.Secret, error) {
	if conn.Spec.Seed == nil {
		return oauth.Secret{}, nil
	}
	ref := conn.Spec.Seed.SecretRef
	field := secretField{
		at: origin{field: "spec."}, field: "seed.secretRef", reason: v1alpha1.ReasonSeedInvalid,
		namespace: conn.Namespace, name: ref.Name, key: ref.Key,
	}
	secret, err := r.secret(ctx, field)
	if err != nil {
		return oauth.Secret{}, err
	}
	token, err := field.value(secret)
	if len(token.Reveal()) > oauth.MaxToken {
		return oauth.Secret{}, field.errorf("Secret %q key %q holds more than 32 KiB, which is no refresh token", field.name, field.key)
	}
	return token, err
}

// subject prepares what the token request rests on.
func (r *Resolver) subject(ctx context.Context, resolved *Resolved, s *source) (maker, error) {
	at := origin{field: "spec."}
	from := func(field string, ref v1alpha1.TokenKeyRef) secretField {
		return secretField{at: at, field: field, reason: v1alpha1.ReasonSubjectInvalid, namespace: s.namespace, name: ref.Name, key: ref.Key}
	}
	switch spec := s.subject; {
	case spec.ServiceAccountRef != nil:
		return r.serviceAccountToken(ctx, s.namespace, spec.ServiceAccountRef, at, "subject.serviceAccountRef")
	case spec.SecretRef != nil:
		field := from("subject.secretRef", *spec.SecretRef)
		secret, err := r.secret(ctx, field)
		if err != nil {
			return nil, err
		}
		resolved.Revision += "/" + secret.ResourceVersion
		token, err := field.value(secret)
		return given(token), err
	case spec.SignedJWT != nil:
		return r.signedSubject(ctx, resolved, s, from("subject.signedJWT.keyRef", spec.SignedJWT.KeyRef))
	}
	return nil, at.errorf(v1alpha1.ReasonSubjectInvalid, "subject", "set one of serviceAccountRef, secretRef and signedJWT")
}

// given makes what is there already.
func given(token oauth.Secret) maker {
	return func(context.Context, string) (oauth.Secret, error) { return token, nil }
}

// signedSubject signs the assertion that a connection describes (RFC 7523 section 3).
func (r *Resolver) signedSubject(ctx context.Context, resolved *Resolved, s *source, field secretField) (maker, error) {
	field.kind = keyFile
	secret, err := r.secret(ctx, field)
	if err != nil {
		return nil, err
	}
	spec := s.subject.SignedJWT
	signer, err := r.signer(field, secret, spec.KeyID, spec.Algorithm, "subject.signedJWT.algorithm")
	if err != nil {
		return nil, err
	}
	resolved.Revision += "/" + secret.ResourceVersion
	issuer := spec.Issuer
	if issuer == "" && s.client != nil {
		issuer = s.client.ID
	}
	if issuer == "" {
		return nil, field.at.errorf(v1alpha1.ReasonSubjectInvalid, "subject.signedJWT.issuer", "it is needed where there is no client")
	}
	claims := map[string]any{}
	for name, value := range spec.Claims {
		claims[name] = value
	}
	claims["iss"] = issuer
	if spec.Subject != "" {
		claims["sub"] = spec.Subject
	}
	return func(_ context.Context, audience string) (oauth.Secret, error) {
		override(&audience, spec.Audience)
		return signer.sign(claims, audience)
	}, nil
}
