// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// claims bounds how often a claim gives way to somebody else's write.
const claims = 5

// newAttempt creates the OAuthAuthorization of somebody whom this server has admitted.
func (s *Server) newAttempt(ctx context.Context, conn *v1alpha1.OAuthConnection) (*v1alpha1.OAuthAuthorization, error) {
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    conn.Namespace,
			GenerateName: attemptName(conn.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "OAuthConnection",
				Name:       conn.Name,
				UID:        conn.UID,
				Controller: ptr.To(true),
			}},
		},
		Spec: v1alpha1.OAuthAuthorizationSpec{Connection: conn.Name},
	}
	if err := s.Client.Create(ctx, attempt); err != nil {
		return nil, refuseFor(unavailable, err)
	}
	return attempt, nil
}

// attemptName leaves room for what the API server appends.
func attemptName(connection string) string {
	return connection[:min(len(connection), 200)] + "-"
}

// noteState makes the attempt wait for the one callback that carries the state.
func (s *Server) noteState(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, hash string, expires time.Time) error {
	attempt.Status.StateHash = hash
	attempt.Status.ExpiresAt = &metav1.Time{Time: expires}
	s.setCompleted(attempt, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForProvider, "waiting for the person to come back from the provider")
	if err := s.Client.Status().Update(ctx, attempt); err != nil {
		return refuseFor(unavailable, err)
	}
	return nil
}

// claim takes the attempt for this callback. Of any number of callbacks with one state, at any number
// of replicas, one gets it: the API server takes one write on each resourceVersion.
func (s *Server) claim(ctx context.Context, f *flow) (*v1alpha1.OAuthAuthorization, error) {
	var err error
	for range claims {
		attempt := &v1alpha1.OAuthAuthorization{}
		err = s.Client.Get(ctx, types.NamespacedName{Namespace: f.Namespace, Name: f.Attempt}, attempt)
		if apierrors.IsNotFound(err) {
			return nil, refuse(flowExpired)
		}
		if err != nil {
			return nil, refuseFor(unavailable, err)
		}
		if err := s.mayClaim(attempt, f); err != nil {
			return nil, err
		}
		attempt.Status.ClaimedAt = &metav1.Time{Time: s.Clock.Now()}
		err = s.Client.Status().Update(ctx, attempt)
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, refuseFor(unavailable, err)
		}
	}
	return nil, refuseFor(unavailable, err)
}

func (s *Server) mayClaim(attempt *v1alpha1.OAuthAuthorization, f *flow) error {
	status := attempt.Status
	switch {
	case string(attempt.UID) != f.AttemptUID, attempt.Spec.Connection != f.Connection,
		status.StateHash != oauth.NewSecret(f.State).Hash():
		return refuse(badResponse)
	case status.ClaimedAt != nil:
		return refuse(alreadyUsed)
	case attempt.DeletionTimestamp != nil, status.ExpiresAt == nil, !s.Clock.Now().Before(status.ExpiresAt.Time):
		return refuse(flowExpired)
	}
	return nil
}

// complete writes how a claimed attempt ended.
func (s *Server) complete(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, r *result) error {
	first := true
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if !first {
			if err := s.Client.Get(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Name}, attempt); err != nil {
				return ignoreGone(err)
			}
		}
		first = false
		s.setCompleted(attempt, r.completed, r.reason, r.message)
		return ignoreGone(s.Client.Status().Update(ctx, attempt))
	})
}

// ignoreGone takes an attempt that was deleted meanwhile for completed.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (s *Server) setCompleted(attempt *v1alpha1.OAuthAuthorization, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&attempt.Status.Conditions, metav1.Condition{
		Type:               v1alpha1.CompletedCondition,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: attempt.Generation,
		LastTransitionTime: metav1.Time{Time: s.Clock.Now()},
	})
}

// record tells the connection's readers.
func (s *Server) record(conn *v1alpha1.OAuthConnection, r *result) {
	kind, reason := corev1.EventTypeWarning, "AuthorizationFailed"
	if r.completed == metav1.ConditionTrue {
		kind, reason = corev1.EventTypeNormal, "AccountConnected"
	}
	s.Events.Eventf(conn, nil, kind, reason, "Connect", "%s", r.message)
}
