// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Withdraw deletes the connection's own targets, those of former names too. It costs one read
// where there is none.
func (p *Publisher) Withdraw(ctx context.Context, conn *v1alpha1.OAuthConnection) error {
	owned, err := p.owned(ctx, conn)
	if err != nil {
		return err
	}
	for _, secret := range owned {
		if err := p.remove(ctx, conn.UID, secret.Namespace, secret.Name, secret.UID); err != nil {
			return err
		}
	}
	return nil
}

// Release leaves the connection's targets to themselves: without owner they outlive it.
func (p *Publisher) Release(ctx context.Context, conn *v1alpha1.OAuthConnection) error {
	owned, err := p.owned(ctx, conn)
	if err != nil {
		return err
	}
	for _, secret := range owned {
		if err := p.letGo(ctx, conn.UID, &secret); err != nil {
			return err
		}
	}
	return nil
}

// dropFormer deletes targets of names that spec.secret.name no longer says.
func (p *Publisher) dropFormer(ctx context.Context, conn *v1alpha1.OAuthConnection, cached []metav1.PartialObjectMetadata) error {
	former := cached
	if name := bound(conn); name != conn.TargetName() {
		var err error
		if former, err = p.complete(ctx, conn, cached, name); err != nil {
			return err
		}
	}
	for _, secret := range former {
		if secret.Name == conn.TargetName() {
			continue
		}
		if err := p.remove(ctx, conn.UID, secret.Namespace, secret.Name, secret.UID); err != nil {
			return err
		}
	}
	return nil
}

// owned are the metadata of all Secrets that the connection controls.
func (p *Publisher) owned(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]metav1.PartialObjectMetadata, error) {
	cached, err := p.cached(ctx, conn)
	if err != nil {
		return nil, err
	}
	return p.complete(ctx, conn, cached, bound(conn), conn.TargetName())
}

// bound is the name of the target that was published last.
func bound(conn *v1alpha1.OAuthConnection) string {
	if conn.Status.Binding == nil {
		return conn.TargetName()
	}
	return conn.Status.Binding.Name
}

// complete adds to what the cache has seen the Secrets of names at which a target was or is: the
// cache misses those without label, and sees nothing where the watch is off.
func (p *Publisher) complete(ctx context.Context, conn *v1alpha1.OAuthConnection, cached []metav1.PartialObjectMetadata, names ...string) ([]metav1.PartialObjectMetadata, error) {
	owned := cached
	for _, name := range names {
		if find(owned, name) != nil {
			continue
		}
		live := metadata(types.NamespacedName{Namespace: conn.Namespace, Name: name})
		err := p.Client.Get(ctx, client.ObjectKeyFromObject(live), live)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if owner := connectionOf(live); owner != nil && owner.UID == conn.UID {
			owned = append(owned[:len(owned):len(owned)], *live)
		}
	}
	return owned, nil
}

// remove deletes the Secret with this UID and no other. That it is gone already is no error.
func (p *Publisher) remove(ctx context.Context, connection types.UID, namespace, name string, secret types.UID) error {
	p.leaving(connection, secret)
	gone := metadata(types.NamespacedName{Namespace: namespace, Name: name})
	err := p.Client.Delete(ctx, gone, client.Preconditions{UID: &secret})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	p.staying(connection, secret)
	return err
}

// letGo takes the operator's marks off a Secret and leaves its content.
func (p *Publisher) letGo(ctx context.Context, connection types.UID, secret *metav1.PartialObjectMetadata) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             secret.UID,
		"ownerReferences": []any{map[string]any{"$patch": "delete", "uid": connection}},
		"labels":          map[string]any{ConnectionLabel: nil},
		"annotations":     map[string]any{contentAnnotation: nil, v1alpha1.AdoptAnnotation: nil},
	}})
	if err != nil {
		return err
	}
	p.leaving(connection, secret.UID)
	answer := metadata(client.ObjectKeyFromObject(secret))
	err = p.Client.Patch(ctx, answer, client.RawPatch(types.StrategicMergePatchType, patch), client.FieldOwner(FieldManager))
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	p.staying(connection, secret.UID)
	return err
}

// leaving notes that a Secret goes by our own hand, before the request is sent.
func (p *Publisher) leaving(connection, secret types.UID) {
	p.remember(connection, func(t *target) {
		if p.Metadata != nil { // else no event will come to take it out again
			t.removed = t.removed.Union(sets.New(secret))
		}
		if t.secret == secret {
			*t = target{removed: t.removed}
		}
	})
}

// staying takes that back.
func (p *Publisher) staying(connection, secret types.UID) {
	p.remember(connection, func(t *target) { t.removed.Delete(secret) })
}
