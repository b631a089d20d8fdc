// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// revocationTimeout bounds the one try to revoke: a provider never holds up a deletion.
const revocationTimeout = 10 * time.Second

// finalize gives the grant up and lets the object go.
func (p *pass) finalize(ctx context.Context) error {
	if !controllerutil.ContainsFinalizer(p.conn, v1alpha1.Finalizer) {
		return nil
	}
	record, err := p.Store.Get(ctx, p.key)
	if err != nil && !unreadable(err) {
		return err
	}
	if p.record = record; errors.Is(err, seal.ErrUnsealable) {
		p.record.Ended = endedUnreadable
	}
	if p.conn.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan {
		err = p.Publisher.Release(ctx, p.conn)
	} else {
		err = p.giveUp(ctx)
	}
	if err != nil {
		return err
	}
	if err := p.Store.Delete(ctx, p.key); err != nil {
		return err
	}
	p.Publisher.Forget(p.conn.UID)
	p.sightings.forget(p.conn.UID)

	before := p.conn.DeepCopy()
	controllerutil.RemoveFinalizer(p.conn, v1alpha1.Finalizer)
	return client.IgnoreNotFound(p.Client.Patch(ctx, p.conn, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
}

// unreadable says that there is no record, or none that this process will ever be able to read:
// neither holds up a deletion.
func unreadable(err error) bool {
	return errors.Is(err, tokenstore.ErrNotFound) || errors.Is(err, tokenstore.ErrUnknownForm) || errors.Is(err, seal.ErrUnsealable)
}

// disconnectIfRequested acts on the annotation: the grant is revoked, record and target are removed.
func (p *pass) disconnectIfRequested(ctx context.Context) error {
	asked := p.conn.Annotations[v1alpha1.DisconnectRequestedAnnotation]
	if asked == "" || asked == p.conn.Status.LastHandledDisconnect {
		return nil
	}
	if err := p.giveUp(ctx); err != nil {
		return err
	}
	if err := p.Store.Delete(ctx, p.key); err != nil {
		return err
	}
	p.record = nil
	p.conn.Status.LastHandledDisconnect = asked
	p.event(corev1.EventTypeNormal, "Disconnected", "Disconnect", "the grant was given up on request")
	return nil
}

// giveUp removes the target Secret and revokes the grant, best effort. The target comes first: as long as
// it cannot be removed this is tried again, and the provider is asked once. A target holds no revoked token.
func (p *pass) giveUp(ctx context.Context) error {
	if err := p.Publisher.Withdraw(ctx, p.conn); err != nil {
		return err
	}
	if p.record != nil {
		p.revoke(ctx)
	}
	return nil
}

// errNothingHeld and errOtherClient say why nobody was asked to end a grant.
var (
	errNothingHeld = errors.New("no token is held")
	errOtherClient = errors.New("issuer, endpoints or client changed since consent")
)

// revoke asks the provider to end the grant and tells what came of it.
func (p *pass) revoke(ctx context.Context) {
	if p.record.Ended == endedUnreadable {
		p.event(corev1.EventTypeWarning, "RevocationSkipped", "Revoke",
			"the stored grant cannot be opened with the keys in the operator's keyset; end it at the provider by hand")
		return
	}
	err := revoke(ctx, p.record, func(ctx context.Context) (*provider.Resolved, error) { return p.Resolver.Connection(ctx, p.conn) })
	switch {
	case err == nil:
		p.event(corev1.EventTypeNormal, "Revoked", "Revoke", "the provider ended the grant")
	case errors.Is(err, errNothingHeld):
	case errors.Is(err, errOtherClient):
		p.event(corev1.EventTypeWarning, "RevocationSkipped", "Revoke", err.Error()+": the grant is not sent there; end it at the provider by hand")
	case errors.Is(err, oauth.ErrRevocationUnsupported):
		p.event(corev1.EventTypeNormal, "RevocationUnsupported", "Revoke",
			"the provider has no revocation endpoint: end the grant at the provider by hand")
	default:
		log.FromContext(ctx).Info("revocation failed; going on without", "cause", err.Error())
		p.event(corev1.EventTypeWarning, "RevocationFailed", "Revoke",
			"the provider did not end the grant; end it at the provider by hand")
	}
}

// revoke asks the provider once to end the grant of a record (RFC 7009), where the client that resolve
// finds is the one that got it.
func revoke(ctx context.Context, record *tokenstore.Record, resolve func(context.Context) (*provider.Resolved, error)) error {
	held := &record.Token
	if held.RefreshToken.IsZero() && held.AccessToken.IsZero() {
		return errNothingHeld
	}
	resolved, err := resolve(ctx)
	if err != nil {
		return err
	}
	if resolved.Fingerprint != record.Fingerprint {
		return errOtherClient
	}
	client, err := resolved.For(record.Metadata)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, revocationTimeout)
	defer cancel()
	return client.Revoke(ctx, held)
}
