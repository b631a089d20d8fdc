// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var keysetName = types.NamespacedName{Namespace: "oauth-operator", Name: "keyset"}

func TestReplicasThatStartTogetherShareOneKeyset(t *testing.T) {
	const replicas = 8
	var absent sync.WaitGroup
	absent.Add(replicas)
	// Every replica sees that there is no Secret before any of them creates it.
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			absent.Done()
			absent.Wait()
			return c.Create(ctx, obj, opts...)
		},
	})
	keysets := make([][]byte, replicas)
	var starting sync.WaitGroup
	for i := range keysets {
		starting.Go(func() {
			var err error
			if keysets[i], err = SecretSource(c, keysetName)(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	for _, keyset := range keysets {
		if len(keyset) == 0 || !bytes.Equal(keyset, keysets[0]) {
			t.Fatal("replicas have different keysets")
		}
	}
}

func TestALostKeysetIsNotReplacedWhileAReplicaRuns(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	source := SecretSource(c, keysetName)
	if _, err := source(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: keysetName.Namespace, Name: keysetName.Name}}
	if err := c.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := source(t.Context()); err == nil || !strings.Contains(err.Error(), keysetName.String()) {
		t.Errorf("got %v, want an error that names the Secret", err)
	}
	if err := c.Get(t.Context(), keysetName, secret); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the keyset was created again: %v", err)
	}
}

func TestASecretWithoutAKeysetIsLeftAlone(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: keysetName.Namespace, Name: keysetName.Name},
		Data:       map[string][]byte{"other": []byte("x")},
	}).Build()
	if _, err := SecretSource(c, keysetName)(t.Context()); err == nil || !strings.Contains(err.Error(), KeysetKey) {
		t.Errorf("got %v, want an error that names the key", err)
	}
}
