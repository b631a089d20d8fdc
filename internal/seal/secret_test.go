// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
			if keysets[i], err = SecretSource(c, keysetName, nil)(t.Context()); err != nil {
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

func keysetSecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: keysetName.Namespace, Name: keysetName.Name}}
}

func TestADeletedKeysetIsCreatedAgainByWhoHoldsIt(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	source := SecretSource(c, keysetName, func(context.Context) (bool, error) { return true, errors.New("nobody asks") })
	other, err := SecretSource(c, keysetName, nil)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), keysetSecret()); err != nil {
		t.Fatal(err)
	}
	if err := k.Reread(t.Context()); err != nil || k.Missing() || k.Changes() != 1 {
		t.Errorf("got %v; missing: %t; %d keysets", err, k.Missing(), k.Changes())
	}
	again := keysetSecret()
	if err := c.Get(t.Context(), keysetName, again); err != nil || !bytes.Equal(again.Data[KeysetKey], other) {
		t.Errorf("the Secret holds another keyset: %v", err)
	}
}

func TestADeletedKeysetThatCannotBeCreatedAgainIsMissing(t *testing.T) {
	closed := false
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if closed {
				return errors.New("no writes")
			}
			return c.Create(ctx, obj, opts...)
		},
	})
	k, err := Open(t.Context(), SecretSource(c, keysetName, nil))
	if err != nil {
		t.Fatal(err)
	}
	text := sealed(t, k, "x")
	if err := c.Delete(t.Context(), keysetSecret()); err != nil {
		t.Fatal(err)
	}
	closed = true
	if err := k.Reread(t.Context()); !errors.Is(err, ErrKeysetLost) || !strings.Contains(err.Error(), keysetName.String()) || !k.Missing() {
		t.Errorf("got %v; missing: %t", err, k.Missing())
	}
	if _, err := k.Unseal(t.Context(), PurposeRecord, "uid", text); err != nil {
		t.Errorf("the keys in memory do not open any more: %v", err)
	}
	closed = false
	if err := k.Reread(t.Context()); err != nil || k.Missing() {
		t.Errorf("got %v; missing: %t", err, k.Missing())
	}
}

func TestAnOutageIsNotALostKeyset(t *testing.T) {
	away := false
	c := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if away {
				return errors.New("no API server")
			}
			return c.Get(ctx, key, obj, opts...)
		},
	})
	k, err := Open(t.Context(), SecretSource(c, keysetName, nil))
	if err != nil {
		t.Fatal(err)
	}
	away = true
	if err := k.Reread(t.Context()); err == nil || errors.Is(err, ErrKeysetLost) || k.Missing() {
		t.Errorf("got %v; missing: %t", err, k.Missing())
	}
}

func TestAFirstStartOverSealedRecordsMakesNoFreshKeyset(t *testing.T) {
	c := fake.NewClientBuilder().Build()
	outage := errors.New("no API server")
	for name, inUse := range map[string]func(context.Context) (bool, error){
		"in use":    func(context.Context) (bool, error) { return true, nil },
		"not known": func(context.Context) (bool, error) { return false, outage },
	} {
		_, err := SecretSource(c, keysetName, inUse)(t.Context())
		if want := map[string]error{"in use": ErrKeysetLost, "not known": outage}[name]; !errors.Is(err, want) || !strings.Contains(err.Error(), keysetName.String()) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := c.Get(t.Context(), keysetName, keysetSecret()); !apierrors.IsNotFound(err) {
			t.Errorf("%s: there is a keyset: %v", name, err)
		}
	}
	if _, err := SecretSource(c, keysetName, func(context.Context) (bool, error) { return false, nil })(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASecretWithoutAKeysetIsLeftAlone(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: keysetName.Namespace, Name: keysetName.Name},
		Data:       map[string][]byte{"other": []byte("x")},
	}).Build()
	if _, err := SecretSource(c, keysetName, nil)(t.Context()); !errors.Is(err, ErrKeysetLost) || !strings.Contains(err.Error(), KeysetKey) {
		t.Errorf("got %v, want an error that names the key", err)
	}
}
