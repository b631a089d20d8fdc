// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestTheTargetIsCreatedWithTheDefaultKeys(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	expectRequests(t, r, "GET", "POST", "PATCH")

	secret := r.secret(t, "github")
	for key, want := range map[string]string{"access_token": "one", "token_type": "Bearer", "scope": "read write", "expiry": "2030-01-02T03:04:05Z"} {
		if got := string(secret.Data[key]); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(secret.Data) != 4 || secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("keys %v, type %s", slices.Sorted(maps.Keys(secret.Data)), secret.Type)
	}
	if !metav1.IsControlledBy(secret, conn) || secret.Labels[ConnectionLabel] != string(conn.UID) {
		t.Errorf("owners %v, labels %v", secret.OwnerReferences, secret.Labels)
	}
	if key, ok := ForConnection(secret); !ok || key != client.ObjectKeyFromObject(conn) {
		t.Errorf("the Secret leads to %v", key)
	}
	for _, entry := range secret.ManagedFields {
		if entry.Manager != FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("fields belong to %s by %s", entry.Manager, entry.Operation)
		}
	}
}

func TestAnUnknownExpiryHasNoKey(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{KeepPrevious: true})
	v := token("two")
	v.Expiry, v.PreviousAccessToken = time.Time{}, oauth.NewSecret("one")
	r.publish(t, conn, v)
	data := r.secret(t, "github").Data
	if _, ok := data["expiry"]; ok || string(data["previous_access_token"]) != "one" {
		t.Errorf("keys %v", slices.Sorted(maps.Keys(data)))
	}
}

func TestARefreshCostsOneRequestAndRestNone(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	r.seen(t, "github")
	r.requests.taken()
	for i := range 5 {
		r.publish(t, conn, token(fmt.Sprint("next ", i)))
		expectRequests(t, r, "PATCH")
		r.publish(t, conn, token(fmt.Sprint("next ", i)))
		expectRequests(t, r)
	}
	if got := string(r.secret(t, "github").Data["access_token"]); got != "next 4" {
		t.Errorf("the target holds %q", got)
	}
}

func TestWithoutTheWatchRestCostsOneRead(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	r.requests.taken()
	r.publish(t, conn, token("two"))
	expectRequests(t, r, "PATCH")
	r.publish(t, conn, token("two"))
	expectRequests(t, r, "GET")

	edited := r.secret(t, "github")
	edited.Data["access_token"] = []byte("forged")
	if err := env.Client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	r.publish(t, conn, token("two"))
	expectRequests(t, r, "GET", "PATCH")
	if got := string(r.secret(t, "github").Data["access_token"]); got != "two" {
		t.Errorf("the target holds %q", got)
	}
}

func TestARestartVerifiesByOneRead(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	r.seen(t, "github")
	r.requests.taken()
	r.Publisher = &Publisher{Client: r.Client, Metadata: r.Metadata}
	r.publish(t, conn, token("one"))
	expectRequests(t, r, "GET")
	r.publish(t, conn, token("one"))
	expectRequests(t, r)

	r.Publisher = &Publisher{Client: r.Client, Metadata: r.Metadata}
	r.publish(t, conn, token("two"))
	expectRequests(t, r, "PATCH")
}

func TestAnEditedTargetIsHealed(t *testing.T) {
	for name, edit := range map[string]func(*corev1.Secret){
		"content":       func(s *corev1.Secret) { s.Data["access_token"] = []byte("forged") },
		"key removed":   func(s *corev1.Secret) { delete(s.Data, "scope") },
		"label removed": func(s *corev1.Secret) { delete(s.Labels, ConnectionLabel) },
		"annotation":    func(s *corev1.Secret) { delete(s.Annotations, contentAnnotation) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true)
			conn := r.connection(t, "github", v1alpha1.SecretSpec{})
			r.publish(t, conn, token("one"))
			before := r.secret(t, "github")
			r.seen(t, "github")
			after := before.DeepCopy()
			edit(after)
			if err := env.Client.Update(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				r.publish(t, conn, token("one"))
				healed := r.secret(t, "github")
				if want, _ := desire(conn, token("one")); !want.intact(healed) || healed.UID != before.UID {
					return fmt.Errorf("the target is not healed: %v", healed.ObjectMeta)
				}
				return nil
			})
		})
	}
}

func TestADeletedTargetIsMadeAnewEvenWithANewToken(t *testing.T) {
	for _, watch := range []bool{true, false} {
		for _, next := range []string{"one", "two"} {
			r := newRig(t, watch)
			conn := r.connection(t, "github", v1alpha1.SecretSpec{})
			r.publish(t, conn, token("one"))
			if watch {
				r.seen(t, "github")
			}
			if err := env.Client.Delete(t.Context(), r.secret(t, "github")); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				r.publish(t, conn, token(next))
				if r.gone(t, "github") {
					return errors.New("still gone")
				}
				return nil
			})
			if got := string(r.secret(t, "github").Data["access_token"]); got != next {
				t.Errorf("the target holds %q, want %q", got, next)
			}
		}
	}
}

func TestATargetOfAnotherTypeIsMadeAnew(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	before := r.secret(t, "github")
	r.seen(t, "github")
	// The rule that type cannot be changed does not see a template that is added later.
	conn.Spec.Secret.Template = &v1alpha1.SecretTemplate{Type: "kubernetes.io/basic-auth", Data: map[string]string{"username": "{{ .account }}", "password": "{{ .accessToken }}"}}
	r.publish(t, conn, token("one"))
	after := r.secret(t, "github")
	if after.UID == before.UID || after.Type != corev1.SecretTypeBasicAuth || string(after.Data["username"]) != "octocat" || len(after.Data) != 2 {
		t.Errorf("type %s, keys %v", after.Type, slices.Sorted(maps.Keys(after.Data)))
	}
}

func TestARenamedTargetReplacesTheFormer(t *testing.T) {
	for _, watch := range []bool{true, false} {
		r := newRig(t, watch)
		conn := r.connection(t, "github", v1alpha1.SecretSpec{Name: "former"})
		r.publish(t, conn, token("one"))
		if watch {
			r.seen(t, "former")
		} else {
			conn.Status.Binding = &v1alpha1.Binding{Name: "former"}
		}
		conn.Spec.Secret.Name = "latter"
		r.publish(t, conn, token("one"))
		if !r.gone(t, "former") || r.gone(t, "latter") {
			t.Error("the target did not move")
		}
	}
}

func TestADroppedKeyDisappears(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{Template: &v1alpha1.SecretTemplate{
		Metadata: &v1alpha1.SecretMetadata{Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}},
		Data:     map[string]string{"token": "{{ .accessToken }}", "fixed": "text"},
	}})
	r.publish(t, conn, token("one"))
	if s := r.secret(t, "github"); s.Labels["team"] != "a" || s.Annotations["note"] != "b" || string(s.Data["fixed"]) != "text" {
		t.Errorf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
	conn.Spec.Secret.Template.Metadata = nil
	delete(conn.Spec.Secret.Template.Data, "fixed")
	r.publish(t, conn, token("one"))
	s := r.secret(t, "github")
	if _, ok := s.Data["fixed"]; ok || s.Labels["team"] != "" || s.Annotations["note"] != "" {
		t.Errorf("still there: %v %v %v", slices.Sorted(maps.Keys(s.Data)), s.Labels, s.Annotations)
	}
}

func TestKeysThatOthersAddStayAndCostNothing(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	edited := r.secret(t, "github")
	edited.Data["ca.crt"], edited.Labels["mine"] = []byte("x"), "true"
	if err := env.Client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	r.requests.taken()
	r.publish(t, conn, token("one"))
	expectRequests(t, r, "GET")
	r.publish(t, conn, token("two"))
	if s := r.secret(t, "github"); string(s.Data["ca.crt"]) != "x" || s.Labels["mine"] != "true" {
		t.Error("the additions are gone")
	}
}
