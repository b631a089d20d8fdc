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
	p.record = record
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

// giveUp revokes the grant, best effort, and removes the target Secret.
func (p *pass) giveUp(ctx context.Context) error {
	if p.record != nil {
		p.revoke(ctx)
	}
	return p.Publisher.Withdraw(ctx, p.conn)
}

// revoke asks the provider once to end the grant (RFC 7009). The refresh token comes first: with it
// most providers end the access tokens as well.
func (p *pass) revoke(ctx context.Context) {
	held := &p.record.Token
	if held.RefreshToken.IsZero() && held.AccessToken.IsZero() {
		return
	}
	resolved, err := p.Resolver.Connection(ctx, p.conn)
	if err == nil && resolved.Fingerprint != p.record.Fingerprint {
		p.event(corev1.EventTypeWarning, "RevocationSkipped", "Revoke",
			"issuer, endpoints or client changed since consent: the grant is not sent there; end it at the provider by hand")
		return
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, revocationTimeout)
		defer cancel()
		var client *oauth.Client
		if client, err = resolved.For(p.record.Metadata); err == nil {
			err = client.Revoke(ctx, held)
		}
	}
	switch {
	case err == nil:
		p.event(corev1.EventTypeNormal, "Revoked", "Revoke", "the provider ended the grant")
	case errors.Is(err, oauth.ErrRevocationUnsupported):
		p.event(corev1.EventTypeNormal, "RevocationUnsupported", "Revoke",
			"the provider has no revocation endpoint: end the grant at the provider by hand")
	default:
		log.FromContext(ctx).Info("revocation failed; going on without", "cause", err.Error())
		p.event(corev1.EventTypeWarning, "RevocationFailed", "Revoke",
			"the provider did not end the grant; end it at the provider by hand")
	}
}
