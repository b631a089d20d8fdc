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

// secretField is a reference to a Secret, for reading it and for what is said when that fails.
type secretField struct {
	at        origin
	field     string
	reason    string
	namespace string
	name, key string
	// kind is what it holds, for the command that creates it; the zero one is a text.
	kind secretKind
}

type secretKind int

const (
	keyFile secretKind = iota + 1
	certificateAndKey
)

// create is the command that makes the Secret.
func (f secretField) create() string {
	what := "generic " + f.name + " --from-literal=" + f.key + "=…"
	switch f.kind {
	case keyFile:
		what = "generic " + f.name + " --from-file=" + f.key + "=…"
	case certificateAndKey:
		what = "tls " + f.name + " --cert=… --key=…"
	}
	return "kubectl -n " + f.namespace + " create secret " + what
}

func (f secretField) errorf(format string, args ...any) *Error {
	e := f.at.errorf(f.reason, f.field, format, args...)
	e.Retry = unwatchedRetry
	return e
}

// clientSecretField is the Secret of a client.
func (s *source) clientSecretField() secretField {
	f := secretField{
		at: s.clientAt, field: "client.secretRef", reason: v1alpha1.ReasonClientSecretNotFound,
		namespace: s.secretNamespace, name: s.client.SecretRef.Name, key: s.client.SecretRef.Key,
	}
	if f.key == "" {
		f.key = defaultSecretKey
	}
	return f
}

// clientSecret reads the client secret live, so that a corrected one works at the next try.
func (r *Resolver) clientSecret(ctx context.Context, resolved *Resolved, s *source) error {
	field := s.clientSecretField()
	secret, err := r.secret(ctx, field)
	if err != nil {
		return err
	}
	if resolved.Secret, err = field.value(secret); err != nil {
		return err
	}
	resolved.Revision += "/" + secret.ResourceVersion
	return nil
}

// secret reads live.
func (r *Resolver) secret(ctx context.Context, f secretField) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := r.Secrets.Get(ctx, types.NamespacedName{Namespace: f.namespace, Name: f.name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, f.errorf("Secret %q not found in namespace %s; create it: %s", f.name, f.namespace, f.create())
	case apierrors.IsForbidden(err):
		e := f.errorf("the operator may not read Secret %q in namespace %s; ask the platform team to check its RBAC", f.name, f.namespace)
		e.cause = err
		return nil, e
	case err != nil:
		return nil, unavailable("Secret "+f.namespace+"/"+f.name, err)
	}
	return secret, nil
}

// value is what the Secret has under the key.
func (f secretField) value(secret *corev1.Secret) (oauth.Secret, error) {
	value, found := secret.Data[f.key]
	text := withoutNewline(string(value))
	if !found || text == "" {
		what := "has no key"
		if found {
			what = "has nothing under key"
		}
		return oauth.Secret{}, f.errorf(`Secret %q in namespace %s %s %q; set it: kubectl -n %s patch secret %s --type=merge -p '{"stringData":{%q:"…"}}'`,
			f.name, f.namespace, what, f.key, f.namespace, f.name, f.key)
	}
	return oauth.NewSecret(text), nil
}

// withoutNewline drops one newline at the end: what `echo secret | base64` leaves behind.
func withoutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}
