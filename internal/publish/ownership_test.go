// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestAForeignSecretIsNeverTouched(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	foreign := &corev1.Secret{
		// Somebody who copies the label does not become the connection's.
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github", Labels: map[string]string{ConnectionLabel: string(conn.UID)}},
		Data:       map[string][]byte{"password": []byte("precious")},
	}
	if err := env.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		err := r.Publish(t.Context(), conn, token(fmt.Sprint(i)))
		expectError(t, err, v1alpha1.ReasonSecretConflict, "spec.secret.name", "oauth-operator.dev/adopt-by=github")
	}
	if err := errors.Join(r.Withdraw(t.Context(), conn), r.Release(t.Context(), conn)); err != nil {
		t.Fatal(err)
	}
	if after := r.secret(t, "github"); after.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the Secret was changed: %v", after.ObjectMeta)
	}
}

func TestASecretThatTookTheTargetsPlaceIsNotTouched(t *testing.T) {
	for _, watch := range []bool{true, false} {
		r := newRig(t, watch)
		conn := r.connection(t, "github", v1alpha1.SecretSpec{})
		r.publish(t, conn, token("one"))
		if err := env.Client.Delete(t.Context(), r.secret(t, "github")); err != nil {
			t.Fatal(err)
		}
		foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github"}}
		if err := env.Client.Create(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
		expectError(t, r.Publish(t.Context(), conn, token("two")), v1alpha1.ReasonSecretConflict)
		if after := r.secret(t, "github"); after.ResourceVersion != foreign.ResourceVersion {
			t.Errorf("the Secret was changed: %v", after.ObjectMeta)
		}
	}
}

func TestATargetThatWasGivenToAnotherOwnerIsLeftAlone(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	taken := r.secret(t, "github")
	taken.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "shop", UID: "1", Controller: ptr.To(true)}}
	if err := env.Client.Update(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	expectError(t, r.Publish(t.Context(), conn, token("two")), v1alpha1.ReasonSecretConflict, `Deployment "shop"`)
	if after := r.secret(t, "github"); after.ResourceVersion != taken.ResourceVersion {
		t.Errorf("the Secret was changed: %v", after.ObjectMeta)
	}
}

func TestTheSecondConnectionOfOneTargetIsToldWhoHasIt(t *testing.T) {
	r := newRig(t, true)
	first := r.connection(t, "first", v1alpha1.SecretSpec{Name: "shared"})
	second := r.connection(t, "second", v1alpha1.SecretSpec{Name: "shared"})
	r.publish(t, first, token("of the first"))
	expectError(t, r.Publish(t.Context(), second, token("of the second")), v1alpha1.ReasonSecretConflict, `OAuthConnection "first"`)
	if err := r.Withdraw(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if got := string(r.secret(t, "shared").Data["access_token"]); got != "of the first" {
		t.Errorf("the target holds %q", got)
	}
}

func TestASecretIsTakenOverWhereItsAnnotationSaysSo(t *testing.T) {
	r := newRig(t, true)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	given := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github", Annotations: map[string]string{v1alpha1.AdoptAnnotation: "github"}},
		Data:       map[string][]byte{"access_token": []byte("old"), "note": []byte("kept")},
	}
	if err := env.Client.Create(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	r.publish(t, conn, token("one"))
	secret := r.secret(t, "github")
	if string(secret.Data["access_token"]) != "one" || string(secret.Data["note"]) != "kept" || !metav1.IsControlledBy(secret, conn) {
		t.Errorf("not taken over: %v", secret.ObjectMeta)
	}
}

func TestAHandedOverSecretOfAnotherTypeIsRefused(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	given := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github", Annotations: map[string]string{v1alpha1.AdoptAnnotation: "github"}},
		Type:       "example.com/other",
	}
	if err := env.Client.Create(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	expectError(t, r.Publish(t.Context(), conn, token("one")), v1alpha1.ReasonSecretConflict, "example.com/other")
}

func TestAnImmutableTargetIsNamed(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	edited := r.secret(t, "github")
	edited.Immutable = ptr.To(true)
	if err := env.Client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	expectError(t, r.Publish(t.Context(), conn, token("two")), v1alpha1.ReasonPublishFailed, "immutable", "delete secret github")
}

func TestATerminatingNamespaceIsNamed(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	if err := env.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		err := r.Publish(t.Context(), conn, token("one"))
		if err == nil {
			return errors.New("published")
		}
		expectError(t, err, v1alpha1.ReasonPublishFailed, r.namespace, "is being deleted")
		return nil
	})
}

func TestALabelThatKubernetesRefusesIsATemplateError(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{Template: &v1alpha1.SecretTemplate{
		Metadata: &v1alpha1.SecretMetadata{Labels: map[string]string{"team": "not a label"}},
	}})
	expectError(t, r.Publish(t.Context(), conn, token("one")), v1alpha1.ReasonTemplateInvalid, "metadata.labels")
}

func TestWithdrawDeletesOwnTargetsOnly(t *testing.T) {
	for _, watch := range []bool{true, false} {
		r := newRig(t, watch)
		conn := r.connection(t, "github", v1alpha1.SecretSpec{})
		r.publish(t, conn, token("one"))
		for range 2 {
			if err := r.Withdraw(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
		}
		if !r.gone(t, "github") {
			t.Error("the target is still there")
		}
		r.publish(t, conn, token("one"))
		if r.gone(t, "github") {
			t.Error("the target does not come back")
		}
		r.Forget(conn.UID)
	}
}

func TestReleaseLeavesTheContentAndNoOwner(t *testing.T) {
	for _, watch := range []bool{true, false} {
		r := newRig(t, watch)
		conn := r.connection(t, "github", v1alpha1.SecretSpec{})
		r.publish(t, conn, token("one"))
		if err := r.Release(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		s := r.secret(t, "github")
		if len(s.OwnerReferences) != 0 || len(s.Labels) != 0 || len(s.Annotations) != 0 || string(s.Data["access_token"]) != "one" {
			t.Errorf("left behind: %v", s.ObjectMeta)
		}
		expectError(t, r.Publish(t.Context(), conn, token("two")), v1alpha1.ReasonSecretConflict)
	}
}

func TestAnAPIServerThatCannotBeAskedLosesNothing(t *testing.T) {
	r := newRig(t, false)
	conn := r.connection(t, "github", v1alpha1.SecretSpec{})
	r.publish(t, conn, token("one"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := r.Publish(gone, conn, token("two"))
	expectError(t, err, v1alpha1.ReasonPublishFailed, "tried again")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", errors.Unwrap(err))
	}
	r.publish(t, conn, token("two"))
	if got := string(r.secret(t, "github").Data["access_token"]); got != "two" {
		t.Errorf("the target holds %q", got)
	}
}
