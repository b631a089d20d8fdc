// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const defaultSecretKey = "client-secret"

// clientSecret reads the client secret live, so that a corrected one works at the next try.
func (r *Resolver) clientSecret(ctx context.Context, s *source) (oauth.Secret, string, error) {
	ref, key := s.client.SecretRef, s.client.SecretRef.Key
	if key == "" {
		key = defaultSecretKey
	}
	refuse := func(format string, args ...any) *Error {
		e := s.clientAt.errorf(v1alpha1.ReasonClientSecretNotFound, "client.secretRef", format, args...)
		e.Retry = unwatchedRetry
		return e
	}
	secret := &corev1.Secret{}
	err := r.Secrets.Get(ctx, types.NamespacedName{Namespace: s.secretNamespace, Name: ref.Name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return oauth.Secret{}, "", refuse("Secret %q not found in namespace %s; create it: kubectl -n %s create secret generic %s --from-literal=%s=…",
			ref.Name, s.secretNamespace, s.secretNamespace, ref.Name, key)
	case apierrors.IsForbidden(err):
		e := refuse("the operator may not read Secret %q in namespace %s; ask the platform team to check its RBAC", ref.Name, s.secretNamespace)
		e.cause = err
		return oauth.Secret{}, "", e
	case err != nil:
		return oauth.Secret{}, "", unavailable("Secret "+s.secretNamespace+"/"+ref.Name, err)
	}
	value, found := secret.Data[key]
	text := withoutNewline(string(value))
	if !found || text == "" {
		what := "has no key"
		if found {
			what = "has nothing under key"
		}
		return oauth.Secret{}, "", refuse(`Secret %q in namespace %s %s %q; set it: kubectl -n %s patch secret %s --type=merge -p '{"stringData":{%q:"…"}}'`,
			ref.Name, s.secretNamespace, what, key, s.secretNamespace, ref.Name, key)
	}
	return oauth.NewSecret(text), secret.ResourceVersion, nil
}

// withoutNewline drops one newline at the end: what `echo secret | base64` leaves behind.
func withoutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}
