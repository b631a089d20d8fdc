// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// settlers bounds the attempts that are worked on at the same time: an exchange waits for a provider.
// Most of the time none does, and each namespace has a few of them only.
const settlers = 32

// AuthorizationReconciler answers kubectl oauth: it admits OAuthAuthorizations, settles those whose
// response comes by kubectl oauth (redirect Loopback) or is polled for (method Device), and removes all
// whose time is over. Browsers are answered by the callback server.
type AuthorizationReconciler struct {
	Client   client.Client
	Attempts *connect.Attempts
	// PublicURL is the address of the callback server as browsers see it.
	PublicURL string
	Clock     clock.PassiveClock

	turns turns
	polls polls
}

// Reconcile takes one attempt one step further, or comes back when it has to be deleted.
func (r *AuthorizationReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	attempt := &v1alpha1.OAuthAuthorization{}
	if err := r.Client.Get(ctx, req.NamespacedName, attempt); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	left := r.timeLeft(attempt)
	if left <= 0 {
		return ctrl.Result{}, client.IgnoreNotFound(r.Client.Delete(ctx, attempt, client.Preconditions{UID: &attempt.UID}))
	}
	var err error
	switch status := attempt.Status; {
	case attempt.DeletionTimestamp != nil, connect.Completed(attempt):
	case status.ClaimedAt != nil:
		left, err = r.interrupted(ctx, attempt, left)
	case attempt.Spec.Method == v1alpha1.PairingDevice:
		left, err = r.device(ctx, attempt, left)
	case status.ExpiresAt == nil && byPlugin(attempt):
		left, err = r.inTurn(ctx, attempt, left, r.admit)
	case attempt.Spec.Response != nil:
		left, err = r.inTurn(ctx, attempt, left, r.settle)
	}
	if err != nil {
		return settle(ctx, client.IgnoreNotFound(err))
	}
	return ctrl.Result{RequeueAfter: left}, nil
}

// inTurn takes a step that may wait for a provider, or comes back where others of the namespace wait.
func (r *AuthorizationReconciler) inTurn(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, left time.Duration,
	step func(context.Context, *v1alpha1.OAuthAuthorization) error) (time.Duration, error) {
	if !r.turns.take(attempt.Namespace) {
		return min(turnWait, left), nil
	}
	defer r.turns.give(attempt.Namespace)
	return left, step(ctx, attempt)
}

// timeLeft is how long an attempt is kept, however it ended.
func (r *AuthorizationReconciler) timeLeft(attempt *v1alpha1.OAuthAuthorization) time.Duration {
	end := attempt.CreationTimestamp.Add(connect.Lifetime)
	if attempt.Status.ExpiresAt != nil {
		end = attempt.Status.ExpiresAt.Time
	}
	if attempt.Spec.Method == v1alpha1.PairingDevice {
		end = end.Add(toldFor)
	}
	return end.Sub(r.Clock.Now())
}

// byPlugin tells attempts of kubectl oauth from those that the callback server makes and starts itself.
func byPlugin(attempt *v1alpha1.OAuthAuthorization) bool {
	return attempt.Spec.Method == v1alpha1.PairingLoopback || attempt.Spec.Method == v1alpha1.PairingCode
}

// admit says where the browser starts, or why the account cannot be connected.
func (r *AuthorizationReconciler) admit(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) error {
	target, err := r.target(ctx, attempt)
	if err != nil {
		return r.refuse(ctx, attempt, err)
	}
	if !target.Loopback() {
		start, err := url.JoinPath(r.PublicURL, "authorize", attempt.Namespace, attempt.Name)
		if err != nil {
			return err
		}
		return r.Attempts.Admit(ctx, attempt, start, nil)
	}
	flow, address, err := r.Attempts.Start(ctx, target, attempt)
	if err != nil {
		return r.refuse(ctx, attempt, err)
	}
	r.Attempts.Metrics.Started()
	return r.Attempts.Admit(ctx, attempt, address, flow)
}

func (r *AuthorizationReconciler) target(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (*connect.Target, error) {
	if !r.Attempts.Modes.Allows(attempt.Spec.Method) {
		return nil, connect.Refuse(connect.MethodNotAllowed)
	}
	target, err := r.Attempts.Target(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}, "")
	if err != nil {
		return nil, err
	}
	if target.Loopback() && attempt.Spec.Loopback == nil {
		return nil, connect.Refuse(connect.PluginNeeded)
	}
	return target, nil
}

// settle takes the response that kubectl oauth has handed over.
func (r *AuthorizationReconciler) settle(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) error {
	flow, ok := r.Attempts.Admitted(ctx, attempt)
	if !ok {
		return r.refuse(ctx, attempt, connect.Refuse(connect.BadResponse))
	}
	arrival, err := r.Attempts.Verify(ctx, flow, oauth.Response{
		Code:       oauth.NewSecret(attempt.Spec.Response.Code),
		Issuer:     attempt.Spec.Response.Issuer,
		Error:      attempt.Spec.Response.Error,
		Parameters: attempt.Spec.Response.Parameters,
	})
	if err != nil {
		return r.refuse(ctx, attempt, err)
	}
	_, err = r.Attempts.Settle(ctx, arrival)
	if refusal, ok := errors.AsType[*connect.Refusal](err); ok && refusal.Verdict == connect.AlreadyUsed {
		return nil // the cache is behind
	}
	if err != nil {
		return r.refuse(ctx, attempt, err)
	}
	return nil
}

// cacheGrace is how long a connection may be missing that was made in one go with its attempt: the two
// come by different watches.
const cacheGrace = 5 * time.Second

// errNotSeen says that a connection may be on its way.
var errNotSeen = errors.New("the connection is not known yet")

// refuse ends an attempt that nothing was claimed of. What the API server is to blame for is tried again.
func (r *AuthorizationReconciler) refuse(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, err error) error {
	refusal, ok := errors.AsType[*connect.Refusal](err)
	if !ok || refusal.Verdict == connect.Unavailable {
		return err
	}
	if refusal.Verdict == connect.ConnectionGone && r.Clock.Now().Sub(attempt.CreationTimestamp.Time) < cacheGrace {
		return errNotSeen
	}
	r.Attempts.Metrics.Rejected()
	return r.Attempts.Complete(ctx, attempt, &connect.Result{Verdict: refusal.Verdict, Detail: refusal.Detail()})
}

// interrupted says how a claimed attempt ended whose process did not live to say it. The code was
// spent; whether the token was saved is in the record.
func (r *AuthorizationReconciler) interrupted(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, left time.Duration) (time.Duration, error) {
	if wait := attempt.Status.ClaimedAt.Add(connect.SettleTimeout).Sub(r.Clock.Now()); wait > 0 {
		return min(wait, left), nil
	}
	result := &connect.Result{Verdict: connect.Interrupted}
	conn := &v1alpha1.OAuthConnection{}
	key := types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}
	if err := r.Client.Get(ctx, key, conn); client.IgnoreNotFound(err) != nil {
		return 0, err
	}
	record, err := r.Attempts.Store.Get(ctx, tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID})
	switch {
	case err == nil && record.Authorization == attempt.UID:
		result = &connect.Result{Verdict: connect.Connected, Account: record.Account}
	case err != nil && !errors.Is(err, tokenstore.ErrNotFound):
		return 0, err
	}
	return left, r.Attempts.Complete(ctx, attempt, result)
}

// SetupWithManager starts the reconciler on the leader.
func (r *AuthorizationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("oauthauthorization").For(&v1alpha1.OAuthAuthorization{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: settlers}).Complete(r)
}
