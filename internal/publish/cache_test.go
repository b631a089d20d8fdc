// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestTheCacheKeepsOfASecretOnlyWhatIsUsed(t *testing.T) {
	const applied = `{"data":{"password":"aHVudGVyMg=="}}` // kubectl apply leaves the whole Secret there
	secret := metadata(types.NamespacedName{Namespace: "team-a", Name: "github"})
	secret.UID, secret.ResourceVersion = "1", "2"
	secret.Labels = map[string]string{ConnectionLabel: "uid", "team": "a"}
	secret.Annotations = map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": applied,
		contentAnnotation:        "hash",
		v1alpha1.AdoptAnnotation: strings.Repeat("x", 200<<10),
	}
	secret.Finalizers = []string{"example.com/held"}
	secret.OwnerReferences = []metav1.OwnerReference{{Name: "other", UID: "3"}, {Name: "github", UID: "uid", Controller: ptr.To(true)}}
	kept, err := CacheOptions().Transform(secret)
	if err != nil {
		t.Fatal(err)
	}
	m := kept.(metav1.Object)
	if len(m.GetAnnotations()) != 1 || m.GetAnnotations()[contentAnnotation] != "hash" {
		t.Errorf("annotations %.200v", m.GetAnnotations())
	}
	if len(m.GetLabels()) != 1 || m.GetLabels()[ConnectionLabel] != "uid" {
		t.Errorf("labels %v", m.GetLabels())
	}
	if owner := metav1.GetControllerOf(m); owner == nil || owner.Name != "github" || len(m.GetOwnerReferences()) != 1 {
		t.Errorf("owners %v", m.GetOwnerReferences())
	}
	if m.GetUID() != "1" || m.GetResourceVersion() != "2" || m.GetName() != "github" || m.GetNamespace() != "team-a" {
		t.Errorf("the object is another: %v", m)
	}
}
