// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// newAttempt describes an attempt, which goes with its connection.
func newAttempt(conn *v1alpha1.OAuthConnection, requester string) *v1alpha1.OAuthAuthorization {
	return &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    conn.Namespace,
			GenerateName: v1alpha1.GenerateNameFor(conn.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuthConnection", Name: conn.Name, UID: conn.UID,
			}},
		},
		Spec: v1alpha1.OAuthAuthorizationSpec{Connection: conn.Name, Requester: requester, Method: v1alpha1.PairingCode},
	}
}

// completed is the attempt's condition, or an empty one.
func completed(attempt *v1alpha1.OAuthAuthorization) metav1.Condition {
	if c := meta.FindStatusCondition(attempt.Status.Conditions, v1alpha1.CompletedCondition); c != nil {
		return *c
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

// add writes a field of the attempt's spec that can be written once. Whoever serves the browser calls
// it; what goes wrong is told to whoever follows the attempt, too.
func (c *connecting) add(ctx context.Context, field string, value any) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience.API)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": c.uid}, "spec": map[string]any{field: value}})
	if err != nil {
		return err
	}
	target := &v1alpha1.OAuthAuthorization{ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: c.key.Name}}
	err = c.cluster.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch))
	if apierrors.IsInvalid(err) { // its words would repeat the value
		err = &problem{Text: "the API server refused the " + field + " that kubectl oauth sent: " + c.nothing(), Hint: "to try again: " + c.next("connect")}
	}
	if err != nil {
		select {
		case c.trouble <- err:
		default: // one is enough
		}
	}
	return err
}

// followAttempt looks at the attempt until done, or until it has ended otherwise.
func (c *connecting) followAttempt(ctx context.Context, done func(*v1alpha1.OAuthAuthorization) bool) error {
	err := c.follow(ctx, c.key, &v1alpha1.OAuthAuthorizationList{}, func(ctx context.Context) (bool, error) {
		attempt := &v1alpha1.OAuthAuthorization{}
		if err := c.cluster.Get(ctx, c.key, attempt); err != nil {
			return false, err
		}
		if attempt.UID != c.uid {
			return false, c.gone(ctx)
		}
		c.attempt = attempt
		if end := completed(attempt); end.Status == metav1.ConditionFalse {
			return false, c.ended(end)
		}
		return done(attempt), nil
	})
	if apierrors.IsNotFound(err) {
		return c.gone(ctx)
	}
	return err
}

// follow looks at an object now and after each change, until look says that it is done. A watch only
// wakes it: where that is forbidden, or cut by a proxy, it looks every few seconds all the same. An
// API server that does not answer is given until ctx ends, whose cause is then the error.
func (c *connecting) follow(ctx context.Context, key client.ObjectKey, list client.ObjectList, look func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := c.changes(ctx, list, key)
	again := time.NewTicker(c.patience.Again)
	defer again.Stop()
	for {
		if done, err := look(ctx); done || hopeless(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-again.C:
		case err := <-c.trouble:
			if hopeless(err) {
				return err
			}
			c.progress.line("The API server did not take it: %s", clean(err.Error()))
		}
	}
}

// hopeless says whether trying again is of no use.
func hopeless(err error) bool {
	_, told := errors.AsType[*problem](err)
	return told || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}

// changes tells when an object may have changed.
func (c *connecting) changes(ctx context.Context, list client.ObjectList, key client.ObjectKey) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			w, err := c.cluster.Watch(ctx, list, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name})
			if err == nil {
				for range w.ResultChan() {
					select {
					case changed <- struct{}{}:
					default:
					}
				}
				w.Stop()
			}
			select {
			case <-ctx.Done():
			case <-time.After(c.patience.Again):
			}
		}
	}()
	return changed
}

// tidy leaves nothing behind: no listener, no OAuthAuthorization. What is known of the attempt is
// brought up to date on the way.
func (c *connecting) tidy(ctx context.Context) {
	fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience.API)
	defer cancel()
	if c.attempt != nil {
		if last := (&v1alpha1.OAuthAuthorization{}); c.cluster.Get(fresh, c.key, last) == nil && last.UID == c.uid {
			c.attempt = last
		}
		err := c.cluster.Delete(fresh, c.attempt.DeepCopy(), client.Preconditions{UID: &c.uid})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) { // a conflict: its name is somebody else's now
			c.progress.line("OAuthAuthorization %s could not be deleted: the operator does that ten minutes after it was made.", clean(c.attempt.Name))
		}
	}
	if c.outcome != nil {
		c.outcome.tell(c.closingPage())
	}
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}
