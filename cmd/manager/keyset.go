// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/clusterclock"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// rotatedAnnotation is on the Secret of the keyset: when its primary key became that, RFC 3339.
const rotatedAnnotation = "oauth-operator.dev/rotated-at"

// settledAfter is how long after a rotation all replicas are known to seal with the new key.
const settledAfter = 2 * seal.RereadInterval

// keysets changes the keyset, for the commands of that purpose.
type keysets struct {
	live      client.Client
	namespace string
	now       func() time.Time
	out       io.Writer
}

// newKeysets goes by the API server's time.
func newKeysets(o *options, out io.Writer) (*keysets, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	clock := clusterclock.New(nodeTime)
	config.Wrap(clock.Observe)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	live, err := newLiveClient(config, scheme)
	return &keysets{live: live, namespace: o.namespace, now: clock.Now, out: out}, err
}

// rotate adds a key and makes it primary. Running replicas take it up within seal.RereadInterval, so none
// has to be restarted.
func (k *keysets) rotate(ctx context.Context) error {
	secret, err := k.read(ctx)
	if err != nil {
		return err
	}
	if secret.Data[seal.KeysetKey], err = seal.Rotate(secret.Data[seal.KeysetKey]); err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, rotatedAnnotation, k.now().UTC().Format(time.RFC3339))
	if err := k.update(ctx, secret); err != nil {
		return err
	}
	fmt.Fprintf(k.out, `A fresh key is primary in Secret %s/%s. Older keys still open what they sealed.
Running replicas take it up within %.0f minutes, and the leader then seals all records with it: it is done when the
leader's metric oauth_operator_records_old_key is 0 again. %.0f minutes from now drop the older keys: manager prune-keyset
Back the Secret up again.
`, k.namespace, keysetName, seal.RereadInterval.Minutes(), settledAfter.Minutes())
	return nil
}

// prune drops all keys but the primary one, unless something needs them.
func (k *keysets) prune(ctx context.Context) error {
	secret, err := k.read(ctx)
	if err != nil {
		return err
	}
	older, err := seal.Others(secret.Data[seal.KeysetKey])
	if err != nil {
		return err
	}
	if len(older) == 0 {
		fmt.Fprintf(k.out, "Secret %s/%s holds one key only: there is nothing to drop.\n", k.namespace, keysetName)
		return nil
	}
	if err := k.settled(secret); err != nil {
		return err
	}
	sealed, err := (&tokenstore.Store{Client: k.live, Namespace: k.namespace}).Sealed(ctx)
	if err != nil {
		return err
	}
	needed := 0
	for _, id := range older {
		needed += len(sealed[id])
	}
	if needed > 0 {
		return fmt.Errorf("%d records are still sealed with the older keys, which are kept; "+
			"the leader seals records with the primary key every %.0f minutes: is it running, and what does its log say?", needed, seal.RereadInterval.Minutes())
	}
	if secret.Data[seal.KeysetKey], err = seal.Prune(secret.Data[seal.KeysetKey]); err != nil {
		return err
	}
	if err := k.update(ctx, secret); err != nil {
		return err
	}
	fmt.Fprintf(k.out, `Dropped %d older keys of Secret %s/%s; no record needs them. Whoever is about to connect an account, or is signed in to the
operator's pages, since before the last rotation has to start again.
Back the Secret up again, and keep former backups of the records only together with former keysets.
`, len(older), k.namespace, keysetName)
	return nil
}

// settled says whether all replicas seal with the primary key.
func (k *keysets) settled(secret *corev1.Secret) error {
	noted, found := secret.Annotations[rotatedAnnotation]
	if !found {
		return nil // rotated by a version that did not note it: before this one was installed
	}
	rotated, err := time.Parse(time.RFC3339, noted)
	if err != nil {
		return fmt.Errorf("annotation %s of Secret %s/%s is %q, which is no time; remove it, and wait %.0f minutes", rotatedAnnotation, k.namespace, keysetName, noted, settledAfter.Minutes())
	}
	if ready := rotated.Add(settledAfter); k.now().Before(ready) {
		return fmt.Errorf("the keyset was rotated at %s, and until %s replicas may seal with the key before; try again then",
			noted, ready.UTC().Format(time.RFC3339))
	}
	return nil
}

func (k *keysets) read(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := k.live.Get(ctx, types.NamespacedName{Namespace: k.namespace, Name: keysetName}, secret)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("keyset Secret %s/%s is not there: the operator makes it at its first start, and one that runs creates a Secret that was deleted again within 5 minutes; "+
			"if the operator says that the keyset is lost, restore it from its backup", k.namespace, keysetName)
	}
	return secret, err
}

// update loses against whoever else changed the keyset meanwhile.
func (k *keysets) update(ctx context.Context, secret *corev1.Secret) error {
	err := k.live.Update(ctx, secret)
	if apierrors.IsConflict(err) {
		return errors.New("somebody else has just changed the keyset; look at it, and run the command again if it is still needed")
	}
	return err
}
