// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// rotateKeyset adds a key and makes it primary. Running replicas take it up when they meet the
// first text sealed with it, so none has to be restarted.
func rotateKeyset(ctx context.Context, o *options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	live, err := newLiveClient(config, scheme)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	if err := live.Get(ctx, types.NamespacedName{Namespace: o.namespace, Name: keysetName}, secret); err != nil {
		return err
	}
	if secret.Data[seal.KeysetKey], err = seal.Rotate(secret.Data[seal.KeysetKey]); err != nil {
		return err
	}
	if err := live.Update(ctx, secret); err != nil {
		return err
	}
	fmt.Printf("a fresh key is primary in Secret %s/%s; older keys still open what they sealed\n", o.namespace, keysetName)
	return nil
}
