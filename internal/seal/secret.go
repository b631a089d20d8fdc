// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// KeysetKey is the data key of the keyset in its Secret.
const KeysetKey = "keyset.json"

// SecretSource reads the keyset from a Secret, live. Until it has been read once a missing Secret is
// created; of replicas that start together one creates it and the others read that one. Later a missing
// Secret is an error: a running replica still holds the old keys, and a fresh keyset under the same name
// would hide that records sealed with them are about to be lost.
func SecretSource(c client.Client, key types.NamespacedName) Source {
	var seen atomic.Bool
	return func(ctx context.Context) ([]byte, error) {
		secret := &corev1.Secret{}
		err := c.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) && !seen.Load() {
			secret, err = createKeyset(ctx, c, key)
		}
		if err != nil {
			return nil, fmt.Errorf("keyset Secret %s: %w", key, err)
		}
		keyset := secret.Data[KeysetKey]
		if len(keyset) == 0 {
			return nil, fmt.Errorf("keyset Secret %s has no key %s", key, KeysetKey)
		}
		seen.Store(true)
		return keyset, nil
	}
}

func createKeyset(ctx context.Context, c client.Client, key types.NamespacedName) (*corev1.Secret, error) {
	keyset, err := NewKeyset()
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Data:       map[string][]byte{KeysetKey: keyset},
	}
	err = c.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		err = c.Get(ctx, key, secret)
	}
	return secret, err
}
