// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// claims bounds how often a claim gives way to somebody else's write.
const claims = 5

// Create makes the attempt of somebody whom the caller has admitted. requester is empty where nobody
// is known.
func (a *Attempts) Create(ctx context.Context, conn *v1alpha1.OAuthConnection, method v1alpha1.PairingMethod, requester string) (*v1alpha1.OAuthAuthorization, error) {
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    conn.Namespace,
			GenerateName: v1alpha1.GenerateNameFor(conn.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "OAuthConnection",
				Name:       conn.Name,
				UID:        conn.UID,
				Controller: ptr.To(true),
			}},
		},
		Spec: v1alpha1.OAuthAuthorizationSpec{Connection: conn.Name, Method: method, Requester: requester},
	}
	if err := a.Client.Create(ctx, attempt); err != nil {
		return nil, RefuseFor(Unavailable, err)
	}
	return attempt, nil
}

// Admit tells the requester's kubectl oauth where the browser starts. flow is given where that is the
// provider itself, with redirect Loopback: the attempt then waits for the response to it.
func (a *Attempts) Admit(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, address string, flow *Flow) error {
	attempt.Status.AuthorizationURL = address
	attempt.Status.ExpiresAt = &metav1.Time{Time: a.expiry(attempt)}
	if flow != nil {
		sealed, err := a.SealFlow(flow, loopbackSubject(attempt))
		if err != nil {
			return err
		}
		attempt.Status.SealedFlow, attempt.Status.StateHash = sealed, flow.hash()
	}
	a.setCompleted(attempt, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForBrowser, "waiting for the requester's browser")
	return a.Client.Status().Update(ctx, attempt)
}

// Admitted opens the flow of an attempt with redirect Loopback.
func (a *Attempts) Admitted(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (*Flow, bool) {
	return a.OpenFlow(ctx, attempt.Status.SealedFlow, loopbackSubject(attempt))
}

// loopbackSubject keeps a sealed flow from being used with another attempt, or as a cookie.
func loopbackSubject(attempt *v1alpha1.OAuthAuthorization) string {
	return "loopback/" + string(attempt.UID)
}

// Note makes the attempt wait for the response to one flow, and for no earlier one.
func (a *Attempts) Note(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, f *Flow) error {
	attempt.Status.StateHash = f.hash()
	attempt.Status.ExpiresAt = &metav1.Time{Time: f.Expires}
	a.setCompleted(attempt, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForProvider, "waiting for the person to come back from the provider")
	if err := a.Client.Status().Update(ctx, attempt); err != nil {
		return RefuseFor(Unavailable, err)
	}
	return nil
}

// claim takes the attempt for one response. Of any number of responses with one state, at any number
// of replicas, one gets it: the API server takes one write on each resourceVersion.
func (a *Attempts) claim(ctx context.Context, f *Flow) (*v1alpha1.OAuthAuthorization, error) {
	var err error
	for range claims {
		attempt := &v1alpha1.OAuthAuthorization{}
		err = a.Client.Get(ctx, types.NamespacedName{Namespace: f.Namespace, Name: f.Attempt}, attempt)
		if apierrors.IsNotFound(err) {
			return nil, Refuse(FlowExpired)
		}
		if err != nil {
			return nil, RefuseFor(Unavailable, err)
		}
		if err := a.mayClaim(attempt, f); err != nil {
			return nil, err
		}
		attempt.Status.ClaimedAt = &metav1.Time{Time: a.Clock.Now()}
		err = a.Client.Status().Update(ctx, attempt)
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, RefuseFor(Unavailable, err)
		}
	}
	return nil, RefuseFor(Unavailable, err)
}

func (a *Attempts) mayClaim(attempt *v1alpha1.OAuthAuthorization, f *Flow) error {
	status := attempt.Status
	switch {
	case string(attempt.UID) != f.AttemptUID, attempt.Spec.Connection != f.Connection, status.StateHash != f.hash():
		return Refuse(BadResponse)
	case status.ClaimedAt != nil:
		return Refuse(AlreadyUsed)
	case attempt.DeletionTimestamp != nil, status.ExpiresAt == nil, !a.Clock.Now().Before(status.ExpiresAt.Time):
		return Refuse(FlowExpired)
	}
	return nil
}

// Complete writes how an attempt ended. Of an attempt that is gone nothing needs to be written.
func (a *Attempts) Complete(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, r *Result) error {
	first, uid := true, attempt.UID
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if !first {
			if err := a.Client.Get(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Name}, attempt); err != nil {
				return ignoreGone(err)
			}
			if attempt.UID != uid {
				return nil // it is gone, and its name is another's
			}
			if Completed(attempt) && !r.Verdict.good() {
				return nil // another process knew better
			}
		}
		first = false
		attempt.Status.Account = ""
		status := metav1.ConditionFalse
		if r.Verdict.good() {
			status, attempt.Status.Account = metav1.ConditionTrue, r.Account
		}
		a.setCompleted(attempt, status, r.Verdict.reason(), r.message())
		return ignoreGone(a.Client.Status().Update(ctx, attempt))
	})
}

// Completed says whether an attempt has ended.
func Completed(attempt *v1alpha1.OAuthAuthorization) bool {
	c := meta.FindStatusCondition(attempt.Status.Conditions, v1alpha1.CompletedCondition)
	return c != nil && c.Status != metav1.ConditionUnknown
}

// ignoreGone takes an attempt that was deleted meanwhile for completed.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (a *Attempts) setCompleted(attempt *v1alpha1.OAuthAuthorization, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&attempt.Status.Conditions, metav1.Condition{
		Type:               v1alpha1.CompletedCondition,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: attempt.Generation,
		LastTransitionTime: metav1.Time{Time: a.Clock.Now()},
	})
}
