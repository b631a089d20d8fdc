// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// answerTimeout is how long a request waits by default: longer than a provider may take.
const answerTimeout = time.Minute

// unresolvedTimeout is enough for the operator to look at a connection again.
const unresolvedTimeout = 5 * time.Second

// findOperator shows whether the operator runs, wherever it was installed.
const findOperator = "kubectl get deployments -A -l app.kubernetes.io/name=oauth-operator"

// resume is the command that lifts a suspension.
func resume(conn *v1alpha1.OAuthConnection) string {
	return fmt.Sprintf(`kubectl -n %s patch oauthconnection %s --type=merge -p '{"spec":{"suspend":false}}'`, conn.Namespace, conn.Name)
}

// request asks the operator for something by an annotation.
type request struct {
	*app
	annotation string
	// acknowledged is the status field that repeats the annotation's value once it was acted on.
	acknowledged func(*v1alpha1.OAuthConnectionStatus) string
	// outcome says whether it is done, by the states before and after, or that it went wrong.
	outcome func(before, after *v1alpha1.OAuthConnection) (done bool, err error)
	timeout time.Duration
}

// ask sets the annotation. What it returns is the value to be acknowledged.
func (r *request) ask(ctx context.Context, conn *v1alpha1.OAuthConnection) (string, error) {
	c, err := r.client()
	if err != nil {
		return "", err
	}
	asked := r.clock.Now().UTC().Format(time.RFC3339Nano)
	patched := conn.DeepCopy()
	if patched.Annotations == nil {
		patched.Annotations = map[string]string{}
	}
	patched.Annotations[r.annotation] = asked
	return asked, c.Patch(ctx, patched, client.MergeFrom(conn))
}

// await returns the state that has the outcome, or why there is none.
func (r *request) await(ctx context.Context, before *v1alpha1.OAuthConnection, asked string) (*v1alpha1.OAuthConnection, error) {
	limited, cancel := context.WithTimeout(ctx, r.patience(before))
	defer cancel()
	c, err := r.client()
	if err != nil {
		return nil, err
	}
	after := &v1alpha1.OAuthConnection{}
	answered := false
	look := func(ctx context.Context) (bool, error) {
		after = &v1alpha1.OAuthConnection{}
		err := c.Get(ctx, client.ObjectKeyFromObject(before), after)
		switch {
		case apierrors.IsNotFound(err), err == nil && after.UID != before.UID:
			return false, &problem{Text: fmt.Sprintf("OAuthConnection %s was deleted meanwhile", before.Name), cause: err}
		case err != nil:
			return false, err
		}
		if answered = r.acknowledged(&after.Status) == asked; !answered {
			return false, nil
		}
		return r.outcome(before, after)
	}
	err = r.onChange(limited, 0, look, client.InNamespace(before.Namespace), client.MatchingFields{"metadata.name": before.Name})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = r.tooLate(after, answered)
	}
	if p, ok := errors.AsType[*problem](err); ok && p.Hint == "" {
		p.Hint = r.command(before.Namespace, "status", before.Name)
	}
	return after, err
}

// patience is short where the operator stops before it comes to the request: it looks again because of
// the request, and says nothing where nothing has changed.
func (r *request) patience(before *v1alpha1.OAuthConnection) time.Duration {
	if unresolved(before) != nil {
		return min(r.timeout, unresolvedTimeout)
	}
	return r.timeout
}

// unresolved is the condition that keeps the operator from asking the provider for anything.
func unresolved(conn *v1alpha1.OAuthConnection) *metav1.Condition {
	c := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ClientResolvedCondition)
	if c == nil || c.Status != metav1.ConditionFalse {
		return nil
	}
	return c
}

func (r *request) tooLate(after *v1alpha1.OAuthConnection, answered bool) error {
	c := unresolved(after)
	switch {
	case answered:
		return &problem{Text: fmt.Sprintf("the operator is at it, and not done after %s", r.timeout)}
	case c != nil:
		return &problem{Text: fmt.Sprintf("%s: %s", c.Reason, clean(c.Message))}
	}
	return &problem{
		Text: fmt.Sprintf("the operator has not answered within %s; the request stays, and is acted on once it runs", r.timeout),
		Hint: "is it running? " + findOperator,
	}
}
