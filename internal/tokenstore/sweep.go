// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// pageSize is how many records are listed at once: about a mebibyte.
const pageSize = 500

// KeyOf returns the connection that a record's Secret with this metadata belongs to; false where it is
// no record's.
func KeyOf(obj metav1.Object) (Key, bool) {
	connection, ok := ForConnection(obj)
	uid := types.UID(obj.GetLabels()[v1alpha1.ConnectionUIDLabel])
	return Key{Namespace: connection.Namespace, Name: connection.Name, UID: uid}, ok && obj.GetName() == secretName(uid)
}

// Stored says whether there is any record in the operator's namespace.
func Stored(ctx context.Context, c client.Reader, namespace string) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{Label: "true"}, client.Limit(1))
	return len(list.Items) > 0, err
}

// Sealed returns all records by the number of the key that they are sealed with (see seal.KeyID), 0 where
// that cannot be told. No record is opened.
func (s *Store) Sealed(ctx context.Context) (map[uint32][]Key, error) {
	found := map[uint32][]Key{}
	err := s.walk(ctx, func(key Key, secret *corev1.Secret) {
		id, _ := seal.KeyID(secret.Data[dataKey])
		found[id] = append(found[id], key)
	})
	return found, err
}

// Records shows all records, except those that this process will never be able to open.
func (s *Store) Records(ctx context.Context, show func(Key, *Record)) error {
	var failed error
	err := s.walk(ctx, func(key Key, secret *corev1.Secret) {
		record, err := s.open(ctx, key, secret)
		switch {
		case err == nil:
			show(key, record)
		case !errors.Is(err, seal.ErrUnsealable) && !errors.Is(err, ErrUnknownForm):
			failed = err
		}
	})
	return errors.Join(err, failed)
}

// walk lists page by page, so that no answer is large. It fails where the list cannot be had whole.
func (s *Store) walk(ctx context.Context, visit func(Key, *corev1.Secret)) error {
	for next := ""; ; {
		var page corev1.SecretList // a fresh one: what an answer leaves out would stay
		err := s.Client.List(ctx, &page, client.InNamespace(s.Namespace), client.MatchingLabels{Label: "true"},
			client.Limit(pageSize), client.Continue(next))
		if err != nil {
			return fmt.Errorf("list the records: %w", err)
		}
		for i := range page.Items {
			if key, ok := KeyOf(&page.Items[i]); ok {
				visit(key, &page.Items[i])
			}
		}
		if next = page.Continue; next == "" {
			return nil
		}
	}
}

// Reseal seals a record with the primary key and changes nothing else: an intent stays, and whoever
// writes meanwhile wins. It fails with ErrNotFound, with ErrConflict, and as Keyring.Unseal does.
func (s *Store) Reseal(ctx context.Context, key Key) error {
	secret := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: secretName(key.UID)}, secret)
	if apierrors.IsNotFound(err) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	if !s.Keyring.Stale(secret.Data[dataKey]) {
		return nil
	}
	if secret.Data[dataKey], err = s.Keyring.Reseal(ctx, seal.PurposeRecord, string(key.UID), secret.Data[dataKey]); err != nil {
		return fmt.Errorf("record %s: %w", secret.Name, err)
	}
	secret.ManagedFields = []metav1.ManagedFieldsEntry{{}} // see Store.secret
	err = s.Client.Update(ctx, secret, client.FieldOwner(fieldManager))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ErrConflict
	}
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// Orphan is Get for a record whose connection is gone. It fails with ErrUnsaved where this process still
// has something to save, and with ErrInFlight before the deadline of an attempt, be it this process's.
func (s *Store) Orphan(ctx context.Context, key Key) (*Record, error) {
	if s.Pending(key.UID) {
		return nil, ErrUnsaved
	}
	record, err := s.read(ctx, key)
	if err == nil && record.origin.intent != nil && s.Clock.Now().Before(record.origin.intent.Deadline) {
		return nil, ErrInFlight
	}
	return record, err
}

// Remove deletes the record as it was read, and no later one: then it fails with ErrConflict.
func (s *Store) Remove(ctx context.Context, key Key, r *Record) error {
	version := r.origin.version
	err := s.Client.Delete(ctx, &corev1.Secret{ObjectMeta: s.name(key)}, client.Preconditions{ResourceVersion: &version})
	switch {
	case apierrors.IsConflict(err):
		return ErrConflict
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("delete the record: %w", err)
	}
	s.Forget(key.UID)
	return nil
}

// LastUsed is the latest moment at which the connection is known to have been there.
func (r *Record) LastUsed() time.Time {
	if r.Token.Obtained.After(r.AuthorizedAt) {
		return r.Token.Obtained
	}
	return r.AuthorizedAt
}
