// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// rotate adds a key to the cluster's keyset and has replicas take it up.
func (c *cluster) rotate(replicas ...*Store) {
	c.t.Helper()
	var err error
	if c.keyset, err = seal.Rotate(c.keyset); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range replicas {
		if err := s.Keyring.Reread(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestARecordIsSealedAnewWithItsIntentAndNothingElseChanges(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	key, idle := newKey(), newKey()
	must(t)(a.Replace(t.Context(), idle, consented("c", 0)))
	stored := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	begun := must(t)(a.Begin(t.Context(), key, stored))
	before := secretOf(t, a, key)
	old := a.Keyring.Primary()

	c.rotate(a)
	sealed, err := a.Sealed(t.Context())
	if err != nil || len(sealed) != 1 || len(sealed[old]) != 2 || !slices.Contains(sealed[old], key) || !slices.Contains(sealed[old], idle) {
		t.Fatalf("got %v, %v", sealed, err)
	}
	for range 2 { // the second time there is nothing to do
		if err := a.Reseal(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	after := secretOf(t, a, key)
	if a.Keyring.Stale(after.Data[dataKey]) || !a.Keyring.Stale(before.Data[dataKey]) {
		t.Error("the record is not sealed with the new key")
	}
	if d := diff(begun, must(t)(a.Get(t.Context(), key))); d != "" {
		t.Error(d)
	}
	for name, differs := range map[string]bool{
		"labels":      len(after.Labels) != len(before.Labels),
		"annotations": len(after.Annotations) != len(before.Annotations) || after.Annotations[AuthorizationAnnotation] != before.Annotations[AuthorizationAnnotation],
		"type":        after.Type != before.Type,
	} {
		if differs {
			t.Errorf("%s changed", name)
		}
	}
	if sealed, err = a.Sealed(t.Context()); err != nil || len(sealed[old]) != 1 || len(sealed[a.Keyring.Primary()]) != 1 {
		t.Errorf("got %v, %v", sealed, err)
	}

	// The attempt that began before ends as if nothing had been.
	must(t)(a.Save(t.Context(), key, refreshed(begun, 10)))
	if d := diff(refreshed(begun, 10).settled(), must(t)(a.Get(t.Context(), key))); d != "" {
		t.Error(d)
	}
}

func TestWhoWritesWhileARecordIsSealedAnewWins(t *testing.T) {
	c := newCluster(t)
	a, tap := c.replica("a")
	b, _ := c.replica("b")
	key := newKey()
	must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	c.rotate(a)
	tap.set(on("update", once(func() error {
		begun := must(t)(b.Begin(t.Context(), key, must(t)(b.Get(t.Context(), key))))
		must(t)(b.Save(t.Context(), key, refreshed(begun, 10)))
		return nil
	})), nil)
	if err := a.Reseal(t.Context(), key); !errors.Is(err, ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
	if got := must(t)(a.Get(t.Context(), key)); got.Token.Obtained != token(10).Obtained {
		t.Error("the newer token is gone")
	}
}

func TestARecordOfALostKeyIsSealedAnewByWhoKnewIt(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	key := newKey()
	must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	var err error
	if c.keyset, err = seal.NewKeyset(); err != nil { // somebody made another one
		t.Fatal(err)
	}
	restarted, _ := c.replica("b")
	if err := restarted.Reseal(t.Context(), key); !errors.Is(err, seal.ErrUnsealable) {
		t.Errorf("got %v, want ErrUnsealable", err)
	}
	if err := a.Keyring.Reread(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Reseal(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	must(t)(restarted.Get(t.Context(), key))
}

func TestRecordsAreListedPastOnePageAndOthersSecretsAreNot(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	if found, err := Stored(t.Context(), a.Client, a.Namespace); found || err != nil {
		t.Errorf("an empty namespace: %t, %v", found, err)
	}
	for _, secret := range []*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: "no-label", Annotations: map[string]string{ConnectionAnnotation: "a/b"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "oauth-other", Labels: map[string]string{Label: "true"}, Annotations: map[string]string{ConnectionAnnotation: "a/b"}}},
	} {
		secret.Namespace = a.Namespace
		if err := env.Client.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	const records = pageSize + 1
	want := map[Key]bool{}
	for range records {
		key := newKey()
		want[key] = true
		must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	}
	got := map[Key]bool{}
	if err := a.Records(t.Context(), func(key Key, r *Record) { got[key] = r.Account == "octocat" }); err != nil || len(got) != records {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for key := range want {
		if !got[key] {
			t.Fatalf("%v is missing", key)
		}
	}
	if found, err := Stored(t.Context(), a.Client, a.Namespace); !found || err != nil {
		t.Errorf("a namespace with records: %t, %v", found, err)
	}
}

func TestAnOrphanIsLeftAloneWhileSomebodyMayWriteIt(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	b, tap := c.replica("b")
	key := newKey()
	if _, err := a.Orphan(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	stored := must(t)(a.Replace(t.Context(), key, consented("c", 0)))
	found := must(t)(b.Orphan(t.Context(), key))
	must(t)(a.Begin(t.Context(), key, stored))
	if _, err := b.Orphan(t.Context(), key); !errors.Is(err, ErrInFlight) {
		t.Errorf("during an attempt: got %v, want ErrInFlight", err)
	}
	if err := b.Remove(t.Context(), key, found); !errors.Is(err, ErrConflict) {
		t.Errorf("a version that was read before: got %v, want ErrConflict", err)
	}
	c.clock.SetTime(noon.Add(IntentLifetime))
	found = must(t)(b.Orphan(t.Context(), key))

	tap.set(outage, nil)
	_, _ = b.Replace(t.Context(), key, consented("d", 1))
	if _, err := b.Orphan(t.Context(), key); !errors.Is(err, ErrUnsaved) {
		t.Errorf("with something to save: got %v, want ErrUnsaved", err)
	}
	tap.set(nil, nil)
	flush(t, b)
	if err := b.Remove(t.Context(), key, found); !errors.Is(err, ErrConflict) {
		t.Errorf("a version that was read before: got %v, want ErrConflict", err)
	}
	if err := b.Remove(t.Context(), key, must(t)(b.Orphan(t.Context(), key))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestAListThatIsNotWholeIsNone(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	must(t)(a.Replace(t.Context(), newKey(), consented("c", 0)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sealed, err := a.Sealed(ctx); err == nil {
		t.Errorf("got %v without an error", sealed)
	}
}
