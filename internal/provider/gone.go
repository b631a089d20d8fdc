// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const (
	// maxKept bounds what a record keeps of its connection. A usual one takes 200 bytes.
	maxKept = 64 << 10
	// createdWithin is how exact a namespace's time of creation is, and the operator's clock.
	createdWithin = 2 * time.Second
)

// Keep returns what is needed of a connection to give its grant up when it is gone, as JSON: how to find
// the provider and the client, and whether to. It is nil where that would be too much to keep.
func Keep(conn *v1alpha1.OAuthConnection) []byte {
	kept, err := json.Marshal(v1alpha1.OAuthConnectionSpec{
		Provider: conn.Spec.Provider, ProviderRef: conn.Spec.ProviderRef, Client: conn.Spec.Client,
		Grant: conn.Spec.Grant, Redirect: conn.Spec.Redirect, DeletionPolicy: conn.Spec.DeletionPolicy,
	})
	if err != nil || len(kept) > maxKept {
		return nil
	}
	return kept
}

// Recall makes a connection of what Keep kept, as one that is being deleted; nil where that is nothing.
func Recall(namespace, name string, kept []byte) *v1alpha1.OAuthConnection {
	deleted := metav1.Unix(0, 0) // nobody looks when
	conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, DeletionTimestamp: &deleted}}
	if len(kept) == 0 || json.Unmarshal(kept, &conn.Spec) != nil {
		return nil
	}
	return conn
}

// Gone is Connection for one that Recall made. It refuses where the namespace was made anew since the
// connection was seen last: a Secret of the same name is somebody else's there, and the addresses that it
// would be sent to are the former connection's.
func (r *Resolver) Gone(ctx context.Context, conn *v1alpha1.OAuthConnection, seen time.Time) (*Resolved, error) {
	namespace := &corev1.Namespace{}
	err := r.Reader.Get(ctx, types.NamespacedName{Name: conn.Namespace}, namespace)
	switch {
	case err == nil && namespace.CreationTimestamp.After(seen.Add(createdWithin)):
		return nil, &Error{Reason: v1alpha1.ReasonClientInvalid, Message: "namespace " + conn.Namespace + " was made anew since: the client's Secret is somebody else's"}
	case err != nil && !apierrors.IsNotFound(err):
		return nil, unavailable("Namespace "+conn.Namespace, err)
	}
	return r.Connection(ctx, conn)
}
