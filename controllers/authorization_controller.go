// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// authorizationLife is how long an attempt is kept, however it ended.
const authorizationLife = 10 * time.Minute

// AuthorizationReconciler removes OAuthAuthorizations whose time is over.
type AuthorizationReconciler struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// Reconcile deletes the attempt, or comes back when it has to be deleted.
func (r *AuthorizationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	attempt := &v1alpha1.OAuthAuthorization{}
	if err := r.Client.Get(ctx, req.NamespacedName, attempt); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if left := attempt.CreationTimestamp.Add(authorizationLife).Sub(r.Clock.Now()); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(r.Client.Delete(ctx, attempt, client.Preconditions{UID: &attempt.UID}))
}

// SetupWithManager starts the reconciler on the leader.
func (r *AuthorizationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("oauthauthorization").For(&v1alpha1.OAuthAuthorization{}).Complete(r)
}
