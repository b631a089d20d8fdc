// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// KeysetKey is the data key of the keyset in its Secret.
const KeysetKey = "keyset.json"

// ErrKeysetLost says that the keyset is not where it should be and cannot be made again.
var ErrKeysetLost = errors.New("the keyset is lost")

// SecretSource reads the keyset from a Secret, live. A missing Secret is created: with a fresh keyset
// where there never was one, and from memory where this source has read one before, because what it
// sealed opens with nothing else. Of replicas that do so together one creates it and the others read that.
//
// inUse says whether anything is sealed already: then a Secret that was never read is lost, and a fresh
// keyset under its name would hide that. It is asked only where the Secret is missing; nil means no.
// A lost keyset is an ErrKeysetLost.
func SecretSource(c client.Client, key types.NamespacedName, inUse func(context.Context) (bool, error)) Source {
	s := &secretSource{client: c, key: key, inUse: inUse}
	return s.read
}

type secretSource struct {
	client client.Client
	key    types.NamespacedName
	inUse  func(context.Context) (bool, error)

	mu sync.Mutex
	// last is the keyset that was read last.
	last []byte
}

func (s *secretSource) read(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := &corev1.Secret{}
	err := s.client.Get(ctx, s.key, secret)
	if apierrors.IsNotFound(err) {
		secret, err = s.create(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("keyset Secret %s: %w", s.key, err)
	}
	keyset, found := secret.Data[KeysetKey]
	if !found {
		return nil, fmt.Errorf("%w: keyset Secret %s has no key %s", ErrKeysetLost, s.key, KeysetKey)
	}
	if _, err := parse(keyset); err != nil {
		return nil, fmt.Errorf("%w: keyset Secret %s: %w", ErrKeysetLost, s.key, err)
	}
	s.last = keyset
	return keyset, nil
}

// create makes the Secret of a first start, or the one that was read before.
func (s *secretSource) create(ctx context.Context) (*corev1.Secret, error) {
	keyset, err := s.last, error(nil)
	if keyset == nil {
		keyset, err = s.first(ctx)
	}
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name},
		Data:       map[string][]byte{KeysetKey: keyset},
	}
	err = s.client.Create(ctx, secret)
	switch {
	case apierrors.IsAlreadyExists(err):
		return secret, s.client.Get(ctx, s.key, secret)
	case err != nil && s.last != nil:
		return nil, fmt.Errorf("%w and cannot be created again: %w", ErrKeysetLost, err)
	case err == nil && s.last != nil:
		log.FromContext(ctx).Info("the Secret of the keyset was gone; it is created again with the keys in memory", "secret", s.key.String())
	}
	return secret, err
}

func (s *secretSource) first(ctx context.Context) ([]byte, error) {
	if s.inUse != nil {
		used, err := s.inUse(ctx)
		if err != nil {
			return nil, err
		}
		if used {
			return nil, fmt.Errorf("%w: it is not there, and something is sealed with it", ErrKeysetLost)
		}
	}
	return NewKeyset()
}
