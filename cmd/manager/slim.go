// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// slim is applied to what the cache takes in. It drops managed fields and kubectl's second copy of a
// connection, which patches leave alone, and lets connections share the texts that most of them have
// in common: decoded one by one they would hold a copy each.
func slim(in any) (any, error) {
	if object, ok := in.(metav1.Object); ok {
		object.SetManagedFields(nil)
	}
	conn, ok := in.(*v1alpha1.OAuthConnection)
	if !ok {
		return in, nil
	}
	delete(conn.Annotations, corev1.LastAppliedConfigAnnotation)
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
	return in, nil
}

func shareAll[T ~string](texts []T) {
	for i := range texts {
		share(&texts[i])
	}
}

// share puts the one copy in the place of a text. The garbage collector drops those not used any more.
func share[T ~string](text *T) { *text = unique.Make(*text).Value() }
