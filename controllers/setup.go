// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// providerRefIndex finds the connections of a provider object by "Kind/name".
const providerRefIndex = "spec.providerRef"

// SetupWithManager starts the reconciler on the leader and says what wakes it.
func (r *ConnectionReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.OAuthConnection{}, providerRefIndex, indexProviderRef); err != nil {
		return err
	}
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return ctrl.NewControllerManagedBy(mgr).
		Named("oauthconnection").
		For(&v1alpha1.OAuthConnection{}, builder.WithPredicates(r.departed(), predicate.Or(
			predicate.GenerationChangedPredicate{},
			predicate.AnnotationChangedPredicate{},
		))).
		Watches(secrets, handler.EnqueueRequestsFromMapFunc(r.connectionOfSecret), builder.WithPredicates(r.secretChanged())).
		Watches(&v1alpha1.OAuthProvider{}, handler.EnqueueRequestsFromMapFunc(r.connectionsOf("OAuthProvider")),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ClusterOAuthProvider{}, handler.EnqueueRequestsFromMapFunc(r.connectionsOf("ClusterOAuthProvider")),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Func(r.lead)).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Concurrency}).
		Complete(r)
}

func indexProviderRef(obj client.Object) []string {
	ref := obj.(*v1alpha1.OAuthConnection).Spec.ProviderRef
	if ref == nil {
		return nil
	}
	return []string{ref.Kind + "/" + ref.Name}
}

// connectionsOf maps a provider object to the connections that refer to it.
func (r *ConnectionReconciler) connectionsOf(kind string) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		var list v1alpha1.OAuthConnectionList
		err := r.Client.List(ctx, &list, client.InNamespace(obj.GetNamespace()), client.UnsafeDisableDeepCopy,
			client.MatchingFields{providerRefIndex: kind + "/" + obj.GetName()})
		if err != nil {
			return nil
		}
		requests := make([]reconcile.Request, len(list.Items))
		for i := range list.Items {
			requests[i].NamespacedName = client.ObjectKeyFromObject(&list.Items[i])
		}
		return requests
	}
}

// connectionOfSecret maps a record or a target to its connection.
func (r *ConnectionReconciler) connectionOfSecret(_ context.Context, obj client.Object) []reconcile.Request {
	key, ok := publish.ForConnection(obj)
	if r.isRecord(obj) {
		key, ok = tokenstore.ForConnection(obj)
	}
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: key}}
}

// isRecord believes a record's marks in the operator's namespace only: elsewhere anybody could
// wake somebody else's connection by them.
func (r *ConnectionReconciler) isRecord(obj client.Object) bool {
	_, ok := tokenstore.ForConnection(obj)
	return ok && obj.GetNamespace() == r.Store.Namespace
}

// secretChanged lets through what somebody else did: a new consent in a record, one from a backup, a
// deleted record, a target edited or deleted. What this reconciler writes itself does not wake it.
func (r *ConnectionReconciler) secretChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return r.isRecord(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return r.isRecord(e.Object) || r.Publisher.Foreign(e.Object, nil) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			if r.isRecord(e.ObjectNew) {
				was, is := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
				return was[tokenstore.AuthorizationAnnotation] != is[tokenstore.AuthorizationAnnotation] ||
					was[tokenstore.IDTokenAnnotation] != is[tokenstore.IDTokenAnnotation] || tokenstore.WentBack(e.ObjectOld, e.ObjectNew)
			}
			return r.Publisher.Foreign(e.ObjectOld, e.ObjectNew)
		},
	}
}

// departed forgets a connection that is gone: one whose finalizer somebody took away was not seen to go.
func (r *ConnectionReconciler) departed() predicate.Predicate {
	return predicate.Funcs{DeleteFunc: func(e event.DeleteEvent) bool {
		r.Publisher.Forget(e.Object.GetUID())
		r.sightings.forget(e.Object.GetUID())
		return true
	}}
}
