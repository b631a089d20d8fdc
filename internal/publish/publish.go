// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish keeps the Secret that workloads mount.
//
// A target is created with its content, never overwritten: from then on it is changed by
// server-side apply with its UID, so that only the Secret that was created (or handed over by its
// annotation) can be hit. One refresh costs one request; nothing that is as it should be is written.
//
//	Publish ── known and untouched ──────────────→ nothing
//	        ── known, other content ─────────────→ apply
//	        ── not known, edited, or apply refused → read live → create | apply | leave alone
package publish

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// FieldManager names the operator in a target's managedFields.
const FieldManager = "oauth-operator"

// attempts bounds how often a target that changes under our hands is read again.
const attempts = 3

// Values are what a target Secret can hold. There is no refresh token among them, so no template
// can ask for one.
type Values struct {
	AccessToken         oauth.Secret
	PreviousAccessToken oauth.Secret
	TokenType           string
	Expiry              time.Time // zero: not known
	Scopes              []string
	Account             string
	// Metadata are by the names in the provider's description.
	Metadata map[string]string
}

// Publisher writes target Secrets. Its methods may be called at the same time for different
// connections.
type Publisher struct {
	// Client writes, and reads live.
	Client client.Client
	// Metadata is a cache of PartialObjectMetadata of Secrets that was made with CacheOptions and
	// IndexFields. Where the watch is switched off it is nil: Publish then reads the target live
	// each time that it has nothing new to write.
	Metadata client.Reader

	mu      sync.Mutex
	targets map[types.UID]*target
}

// Publish brings the target Secret to hold v, and removes targets of former names. Its error is an
// *Error.
func (p *Publisher) Publish(ctx context.Context, conn *v1alpha1.OAuthConnection, v Values) error {
	want, err := desire(conn, v)
	if err != nil {
		return &Error{Reason: v1alpha1.ReasonTemplateInvalid, Message: err.Error(), cause: err}
	}
	cached, err := p.cached(ctx, conn)
	if err != nil {
		return want.failed(err)
	}
	if err := p.bring(ctx, want, find(cached, want.name)); err != nil {
		return want.failed(err)
	}
	if err := p.dropFormer(ctx, conn, cached); err != nil {
		return want.failed(err)
	}
	return nil
}

// bring takes the cheapest way to the desired target that is safe.
func (p *Publisher) bring(ctx context.Context, want *desired, cached *metav1.PartialObjectMetadata) error {
	held := p.held(want.uid())
	known := held.name == want.name && held.secret != ""
	if known && !held.writing && held.content == want.content && cached != nil && !newer(cached, held.version) {
		return nil
	}
	if !known && cached != nil && cached.Annotations[contentAnnotation] != want.content {
		held.secret, known = cached.UID, true
	}
	if known && held.content != want.content && (p.Metadata == nil || cached != nil) {
		err := p.apply(ctx, want, held.secret)
		if !refused(err) {
			return err
		}
	}
	return p.settle(ctx, want)
}

// settle decides by the live Secret.
func (p *Publisher) settle(ctx context.Context, want *desired) error {
	var err error
	for range attempts {
		live := &corev1.Secret{}
		err = p.Client.Get(ctx, want.key(), live)
		switch {
		case apierrors.IsNotFound(err):
			err = p.create(ctx, want)
		case err == nil:
			err = p.mend(ctx, want, live)
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return err
}

// mend makes a Secret that exists the desired one, or says why it must be left alone.
func (p *Publisher) mend(ctx context.Context, want *desired, live *corev1.Secret) error {
	if err := want.mayWrite(live); err != nil {
		return err
	}
	if live.Type != want.kind {
		return p.replace(ctx, want, live)
	}
	if want.intact(live) {
		if err := p.own(ctx, live); err != nil {
			return err
		}
		p.wrote(want, live)
		return nil
	}
	return p.apply(ctx, want, live.UID)
}

// create makes the Secret with all it should hold: a pod that waits for it must not start with an
// empty volume, which the kubelet would fill a minute later only.
func (p *Publisher) create(ctx context.Context, want *desired) error {
	p.writing(want, "")
	secret := want.secret()
	if err := p.Client.Create(ctx, secret, client.FieldOwner(FieldManager)); err != nil {
		return err
	}
	p.wrote(want, secret)
	if err := p.own(ctx, secret); err != nil {
		return err
	}
	p.wrote(want, secret)
	return nil
}

// own turns the fields that a creation set into applied ones; without it, a key that is dropped
// from the template would stay in the Secret for ever. It does nothing where that was done.
func (p *Publisher) own(ctx context.Context, secret *corev1.Secret) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(secret, sets.New(FieldManager), FieldManager)
	if err != nil || patch == nil {
		return err
	}
	answer := metadata(client.ObjectKeyFromObject(secret))
	if err := p.Client.Patch(ctx, answer, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return err
	}
	secret.ResourceVersion = answer.ResourceVersion
	return nil
}

// replace deletes an own Secret whose type is not the desired one, which Kubernetes does not
// change, and creates it anew.
func (p *Publisher) replace(ctx context.Context, want *desired, live *corev1.Secret) error {
	if err := p.remove(ctx, want.uid(), live.Namespace, live.Name, live.UID); err != nil {
		return err
	}
	return p.create(ctx, want)
}

// apply sends the desired target for the Secret with this UID. The answer is asked for as metadata
// only: decoding the token just sent would be for nothing.
func (p *Publisher) apply(ctx context.Context, want *desired, secret types.UID) error {
	p.writing(want, secret)
	body, err := want.applied(secret)
	if err != nil {
		return err
	}
	answer := metadata(want.key())
	err = p.Client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body),
		client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil {
		return err
	}
	p.wrote(want, answer)
	return nil
}

// refused says whether an apply by UID found another Secret, none, or one that it cannot change.
// Then the live Secret has to be looked at.
func refused(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err)
}
