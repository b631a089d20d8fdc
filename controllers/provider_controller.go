// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// ProviderReconciler tells in the status of OAuthProviders and ClusterOAuthProviders whether they
// can be used. Connections do not wait for it: they resolve the provider themselves.
type ProviderReconciler struct {
	Client   client.Client
	Resolver *provider.Resolver
}

// SetupWithManager starts one controller for each provider kind on the leader.
func (r *ProviderReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return errors.Join(
		startProviderController[*v1alpha1.OAuthProvider](mgr, r, "oauthprovider", func() *v1alpha1.OAuthProvider { return &v1alpha1.OAuthProvider{} }),
		startProviderController[*v1alpha1.ClusterOAuthProvider](mgr, r, "clusteroauthprovider", func() *v1alpha1.ClusterOAuthProvider { return &v1alpha1.ClusterOAuthProvider{} }),
	)
}

// providerObject is what both kinds have in common.
type providerObject interface {
	client.Object
	ProviderStatus() *v1alpha1.ProviderStatus
}

func startProviderController[P providerObject](mgr ctrl.Manager, r *ProviderReconciler, name string, empty func() P) error {
	run := func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
		obj := empty()
		if err := r.Client.Get(ctx, req.NamespacedName, obj); err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
		return r.reconcile(ctx, obj)
	}
	return ctrl.NewControllerManagedBy(mgr).Named(name).
		For(empty(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: providerConcurrency}).
		Complete(reconcilerFunc(run))
}

// providerConcurrency keeps one issuer that does not answer from holding up the others.
const providerConcurrency = 4

type reconcilerFunc func(context.Context, ctrl.Request) (ctrl.Result, error)

func (f reconcilerFunc) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return f(ctx, req)
}

func (r *ProviderReconciler) reconcile(ctx context.Context, obj providerObject) (ctrl.Result, error) {
	if r.known(obj) {
		return ctrl.Result{}, nil
	}
	before := obj.DeepCopyObject().(providerObject)
	resolved, err := r.Resolver.Provider(ctx, obj)
	retry, err := describeProvider(obj, resolved, err)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !equality.Semantic.DeepEqual(before.ProviderStatus(), obj.ProviderStatus()) {
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Status().Patch(ctx, obj, patch); err != nil {
			return settle(ctx, client.IgnoreNotFound(err))
		}
	}
	return ctrl.Result{RequeueAfter: retry}, nil
}

// known says whether the status holds already what there is to find out: a restart asks no issuer.
func (r *ProviderReconciler) known(obj providerObject) bool {
	status := obj.ProviderStatus()
	return status.ObservedGeneration == obj.GetGeneration() &&
		meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ReadyCondition) &&
		(status.RedirectURI == "" || strings.HasPrefix(status.RedirectURI, r.Resolver.PublicURL+"/"))
}

// describeProvider writes the status. The error that it returns is none of the provider's.
func describeProvider(obj providerObject, resolved *provider.Resolved, err error) (retry time.Duration, _ error) {
	status := obj.ProviderStatus()
	status.ObservedGeneration, status.RedirectURI = obj.GetGeneration(), ""
	ready := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonResolved,
		Message: "the provider can be used", ObservedGeneration: obj.GetGeneration()}
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.StalledCondition)
	if err == nil {
		status.RedirectURI = resolved.RedirectURI
		meta.SetStatusCondition(&status.Conditions, ready)
		return 0, nil
	}
	var cause *provider.Error
	if !errors.As(err, &cause) {
		return 0, err
	}
	status.RedirectURI = cause.RedirectURI
	ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, cause.Reason, cause.Message
	meta.SetStatusCondition(&status.Conditions, ready)
	if waitsForSomebody(cause) {
		ready.Type, ready.Status = v1alpha1.StalledCondition, metav1.ConditionTrue
		meta.SetStatusCondition(&status.Conditions, ready)
	}
	return cause.Retry, nil
}
