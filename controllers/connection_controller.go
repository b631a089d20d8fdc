// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// ConnectionReconciler keeps OAuthConnections connected, fresh and published.
type ConnectionReconciler struct {
	// Client reads connections from the cache and writes them.
	Client    client.Client
	Resolver  *provider.Resolver
	Store     *tokenstore.Store
	Publisher *publish.Publisher
	Events    recorder.EventRecorder
	Metrics   *Metrics
	Clock     clock.PassiveClock
	// Starts says how a person starts to consent.
	Starts Starts
	// Concurrency is how many connections are worked on at the same time.
	Concurrency int

	sightings sightings
	paced     paced
}

// Reconcile walks the steps for one connection and writes its status once. Where others of its namespace
// hold all the turns that they may, it is woken when one is free.
func (r *ConnectionReconciler) Reconcile(ctx context.Context, req ctrl.Request) (res ctrl.Result, err error) {
	conn := &v1alpha1.OAuthConnection{}
	if err := r.Client.Get(ctx, req.NamespacedName, conn); err != nil {
		r.pacer().forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !r.pacer().turns.Take(req.NamespacedName, urgency(conn)) {
		return ctrl.Result{RequeueAfter: lineLook}, nil
	}
	defer r.pacer().leave(req.NamespacedName)
	p := &pass{
		ConnectionReconciler: r,
		conn:                 conn,
		key:                  tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID},
		now:                  r.Clock.Now(),
	}
	if !conn.DeletionTimestamp.IsZero() {
		return settle(ctx, p.finalize(ctx))
	}
	if err := r.addFinalizer(ctx, conn); err != nil {
		return settle(ctx, err)
	}

	before := conn.DeepCopy()
	if err := p.load(ctx); err != nil {
		return settle(ctx, err) // nothing is known, so what was said stays said
	}
	if !conn.Spec.Suspend {
		err = p.walk(ctx)
	}
	if err = errors.Join(err, p.summarize(ctx), r.patchStatus(ctx, before, conn)); err != nil {
		return settle(ctx, err)
	}
	crashpoint.Reach(crashpoint.StatusWritten, conn.UID)
	return ctrl.Result{RequeueAfter: p.untilWake()}, nil
}

// load reads the record and acts on a request to disconnect.
func (p *pass) load(ctx context.Context) error {
	record, err := p.Store.Get(ctx, p.key)
	switch {
	case errors.Is(err, tokenstore.ErrNotFound):
	case errors.Is(err, seal.ErrUnsealable):
		p.record = record
		p.record.Ended = endedUnreadable
	case err != nil:
		return err
	default:
		p.record = record
		p.suspect()
		if err := p.noticeRestored(ctx); err != nil {
			return err
		}
	}
	return p.disconnectIfRequested(ctx)
}

// addFinalizer comes before any grant is stored, so that none is left behind.
func (r *ConnectionReconciler) addFinalizer(ctx context.Context, conn *v1alpha1.OAuthConnection) error {
	if controllerutil.ContainsFinalizer(conn, v1alpha1.Finalizer) {
		return nil
	}
	before := conn.DeepCopy()
	controllerutil.AddFinalizer(conn, v1alpha1.Finalizer)
	return r.Client.Patch(ctx, conn, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// settle hides lost races from the error log: the object is looked at again at once. And what the
// end of the process cut off: the next leader looks at every object.
func settle(ctx context.Context, err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || errors.Is(err, tokenstore.ErrConflict) || errors.Is(err, tokenstore.ErrNotFound) || errors.Is(err, errNotSeen) || errors.Is(ctx.Err(), context.Canceled) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return ctrl.Result{}, err
}

// conflictRetry gives the cache a moment to catch up with the write that was lost against.
const conflictRetry = 100 * time.Millisecond

func (p *pass) untilWake() time.Duration {
	if p.wakeAt.IsZero() {
		return 0
	}
	return max(p.wakeAt.Sub(p.Clock.Now()), time.Millisecond)
}
