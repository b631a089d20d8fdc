// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// maxAnnotations bounds those of a connection that are kept, in bytes. A change of any, which makes the
// operator look again, is noticed up to there; of those by which people ask for something always.
const maxAnnotations = 1 << 10

// slim is applied to what the cache takes in. It drops managed fields and what people hang on objects,
// which can be a megabyte each: patches, and updates of a status, leave it alone. Connections share the
// texts that most of them have in common: decoded one by one they would hold a copy each.
func slim(in any) (any, error) {
	if object, ok := in.(metav1.Object); ok {
		object.SetManagedFields(nil)
	}
	switch object := in.(type) {
	case *v1alpha1.OAuthConnection:
		slimConnection(object)
	case *v1alpha1.OAuthProvider:
		object.Labels, object.Annotations = nil, nil
	case *v1alpha1.OAuthAuthorization:
		object.Labels, object.Annotations, object.OwnerReferences, object.Finalizers = nil, nil, nil, nil
	}
	return in, nil
}

func slimConnection(conn *v1alpha1.OAuthConnection) {
	conn.Labels = nil
	delete(conn.Annotations, corev1.LastAppliedConfigAnnotation)
	size := 0
	for name, value := range conn.Annotations {
		size += len(name) + len(value)
	}
	if size > maxAnnotations {
		maps.DeleteFunc(conn.Annotations, func(name, _ string) bool {
			return name != v1alpha1.RefreshRequestedAnnotation && name != v1alpha1.DisconnectRequestedAnnotation
		})
	}
	share(&conn.Kind)
	share(&conn.APIVersion)
	share(&conn.Namespace)
	share(&conn.Spec.Grant)
	share(&conn.Spec.DeletionPolicy)
	share(&conn.Status.Provider)
	shareAll(conn.Finalizers)
	shareAll(conn.Spec.Scopes)
	shareAll(conn.Status.Scopes)
	if ref := conn.Spec.ProviderRef; ref != nil {
		share(&ref.Kind)
		share(&ref.Name)
	}
	for i := range conn.Status.Conditions {
		condition := &conn.Status.Conditions[i]
		share(&condition.Type)
		share(&condition.Status)
		share(&condition.Reason)
		share(&condition.Message)
	}
}

func shareAll[T ~string](texts []T) {
	for i := range texts {
		share(&texts[i])
	}
}

// share puts the one copy in the place of a text. The garbage collector drops those not used any more.
func share[T ~string](text *T) { *text = unique.Make(*text).Value() }
