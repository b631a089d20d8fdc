// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

func TestEachCallCostsOneRequest(t *testing.T) {
	s, tap := newCluster(t).replica("a")
	key := newKey()
	expect := func(call string, want map[string]int) {
		t.Helper()
		if d := cmp.Diff(want, tap.spent()); d != "" {
			t.Errorf("%s: %s", call, d)
		}
	}
	if _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	expect("Get of nothing", map[string]int{"get": 1})
	r := must(t)(s.Replace(t.Context(), key, consented("a", 0)))
	expect("the first Replace", map[string]int{"create": 1})
	r = must(t)(s.Begin(t.Context(), key, r))
	expect("Begin", map[string]int{"update": 1})
	r = must(t)(s.Save(t.Context(), key, refreshed(r, 1)))
	expect("Save", map[string]int{"update": 1})
	r = must(t)(s.Begin(t.Context(), key, r))
	must(t)(s.Fail(t.Context(), key, r, Failure{Count: 1, Kind: oauth.Transient}))
	expect("Begin and Fail", map[string]int{"update": 2})
	must(t)(s.Get(t.Context(), key))
	expect("Get", map[string]int{"get": 1})
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	expect("Delete", map[string]int{"delete": 1})
	if err := s.Delete(t.Context(), key); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
}

func TestAFirstTokenWithoutAPersonIsBegunAndSavedToo(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	begun := must(t)(s.Begin(t.Context(), key, &Record{Grant: "ClientCredentials"}))
	if begun.Intent.RefreshTokenHash != "" {
		t.Error("a hash without a refresh token")
	}
	must(t)(s.Save(t.Context(), key, refreshed(begun, 1)))
	if got := must(t)(s.Get(t.Context(), key)); got.Intent != nil || !got.Token.AccessToken.Equal(token(1).AccessToken) {
		t.Errorf("got %+v", got)
	}
}

func TestAnotherReplicaReadsWhatWasSaved(t *testing.T) {
	c := newCluster(t)
	a, _ := c.replica("a")
	b, _ := c.replica("b")
	key, want := newKey(), full()
	want.Intent = nil
	given := want.clone()
	given.Token.IDToken, given.Token.Body = oauth.NewSecret("id"), map[string]any{"x": 1}
	saved := must(t)(a.Save(t.Context(), key, given))
	if d := diff(want, saved); d != "" {
		t.Errorf("saved: %s", d)
	}
	if d := diff(want, must(t)(b.Get(t.Context(), key))); d != "" {
		t.Errorf("read: %s", d)
	}
}

func TestTheSecretShowsWhoseItIsAndNoToken(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("consent-1", 0)))
	secret := secretOf(t, s, key)
	raw, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("sentinel")) || bytes.Contains(secret.Data["record"], []byte("sentinel")) {
		t.Error("a token is readable")
	}
	if secret.Type != RecordType || secret.Labels[Label] != "true" {
		t.Errorf("type %s, labels %v", secret.Type, secret.Labels)
	}
	if got, ok := ForConnection(secret); !ok || got != (types.NamespacedName{Namespace: "team-a", Name: "github"}) {
		t.Errorf("got connection %v", got)
	}

	authorization := func() string { return secretOf(t, s, key).Annotations[AuthorizationAnnotation] }
	r = must(t)(s.Begin(t.Context(), key, r))
	must(t)(s.Save(t.Context(), key, refreshed(r, 1)))
	if got := authorization(); got != "consent-1" {
		t.Errorf("after a refresh: authorization %s", got)
	}
	must(t)(s.Replace(t.Context(), key, consented("consent-2", 2)))
	if got := authorization(); got != "consent-2" {
		t.Errorf("after another consent: authorization %s", got)
	}
}

func TestOtherSecretsBelongToNoConnection(t *testing.T) {
	for name, meta := range map[string]metav1.ObjectMeta{
		"bare":              {},
		"without label":     {Annotations: map[string]string{ConnectionAnnotation: "a/b"}},
		"without namespace": {Labels: map[string]string{Label: "true"}, Annotations: map[string]string{ConnectionAnnotation: "b"}},
	} {
		if got, ok := ForConnection(&corev1.Secret{ObjectMeta: meta}); ok {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestARecordOfOneConnectionDoesNotOpenAsAnothers(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	mine, theirs := newKey(), newKey()
	must(t)(s.Replace(t.Context(), mine, consented("a", 0)))
	must(t)(s.Replace(t.Context(), theirs, consented("b", 0)))
	swapped := secretOf(t, s, mine)
	swapped.Data = secretOf(t, s, theirs).Data
	if err := env.Client.Update(t.Context(), swapped); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), mine); !errors.Is(err, seal.ErrUnsealable) {
		t.Errorf("got %v, want ErrUnsealable", err)
	}
}

func TestAnUnreadableRecordCanBeBegunAnewOrReplaced(t *testing.T) {
	c := newCluster(t)
	old, _ := c.replica("old")
	byAttempt, byConsent := newKey(), newKey()
	must(t)(old.Replace(t.Context(), byAttempt, consented("a", 0)))
	must(t)(old.Replace(t.Context(), byConsent, consented("a", 0)))

	lost := newCluster(t)
	lost.namespace = c.namespace
	s, _ := lost.replica("new")
	blank, err := s.Get(t.Context(), byAttempt)
	if !errors.Is(err, seal.ErrUnsealable) {
		t.Fatalf("got %v, want ErrUnsealable", err)
	}
	begun := must(t)(s.Begin(t.Context(), byAttempt, blank))
	must(t)(s.Save(t.Context(), byAttempt, refreshed(begun, 1)))
	must(t)(s.Get(t.Context(), byAttempt))

	must(t)(s.Replace(t.Context(), byConsent, consented("b", 1)))
	must(t)(s.Get(t.Context(), byConsent))
}

func TestARecordFromABackupShowsThatItWentBack(t *testing.T) {
	s, _ := newCluster(t).replica("a")
	key := newKey()
	r := must(t)(s.Replace(t.Context(), key, consented("c", 0)))
	backup := secretOf(t, s, key)
	r = must(t)(s.Save(t.Context(), key, refreshed(must(t)(s.Begin(t.Context(), key, r)), 1)))
	first := secretOf(t, s, key)
	must(t)(s.Begin(t.Context(), key, r))
	second := secretOf(t, s, key)
	bare := backup.DeepCopy()
	bare.Annotations = nil
	for name, x := range map[string]struct {
		was, is *corev1.Secret
		want    bool
	}{
		"a refresh":                        {backup, first, false},
		"an intent":                        {first, second, false},
		"a backup":                         {second, backup, true},
		"a backup of an older operator":    {second, bare, true},
		"the first write of a new version": {bare, second, false},
	} {
		if got := WentBack(x.was, x.is); got != x.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
