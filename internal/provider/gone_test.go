// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

func TestWhatIsKeptOfAConnectionIsEnoughToGiveItsGrantUp(t *testing.T) {
	shared := &v1alpha1.ClusterOAuthProvider{ObjectMeta: metav1.ObjectMeta{Name: "corp"}}
	shared.Spec.Preset, shared.Spec.Client = "github", confidential("shared")
	shared.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "yes"}}
	e := setup(t, nil, secret("team-a", "s", "hush"), secret("oauth-operator", "s", "shared hush"), shared, namespace("team-a", map[string]string{"team": "yes"}))
	inline := connection(v1alpha1.ProviderSpec{Preset: "gitlab", Parameters: map[string]string{"host": "git.example.com"}})
	inline.Spec.Scopes = []v1alpha1.Scope{"api"}
	inline.Spec.Secret.Template = &v1alpha1.SecretTemplate{Data: map[string]string{"x": strings.Repeat("x", 1000)}}
	inline.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	referring := connection(v1alpha1.ProviderSpec{})
	referring.Spec.Provider, referring.Spec.Client = nil, nil
	referring.Spec.ProviderRef = &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: "corp"}
	for name, conn := range map[string]*v1alpha1.OAuthConnection{"inline": inline, "shared": referring} {
		want := e.resolve(t, conn)
		kept := provider.Keep(conn)
		if len(kept) > 500 || strings.Contains(string(kept), "hush") {
			t.Errorf("%s: %d bytes are kept: %s", name, len(kept), kept)
		}
		recalled := provider.Recall(conn.Namespace, conn.Name, kept)
		if recalled.Spec.DeletionPolicy != conn.Spec.DeletionPolicy {
			t.Errorf("%s: the policy is %s", name, recalled.Spec.DeletionPolicy)
		}
		if ns := namespace("team-a", nil); name == "shared" {
			if err := e.kube.Delete(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.Gone(t.Context(), recalled, e.clock.Now())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.Fingerprint != want.Fingerprint || got.Endpoints != want.Endpoints || got.Secret.Reveal() != want.Secret.Reveal() {
			t.Errorf("%s: another client", name)
		}
	}
}

func TestASecretOfANamespaceMadeAnewIsNotSentToTheFormerTenantsProvider(t *testing.T) {
	young := namespace("team-a", nil)
	young.CreationTimestamp = metav1.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	e := setup(t, nil, secret("team-a", "s", "hush"), young)
	conn := provider.Recall("team-a", "conn", provider.Keep(connection(v1alpha1.ProviderSpec{Preset: "github"})))
	if _, err := e.Gone(t.Context(), conn, young.CreationTimestamp.Add(-time.Minute)); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("got %v", err)
	}
	if _, err := e.Gone(t.Context(), conn, young.CreationTimestamp.Add(time.Minute)); err != nil {
		t.Errorf("a connection of this namespace: %v", err)
	}
}

func TestNothingIsRecalledOfNothing(t *testing.T) {
	huge := connection(v1alpha1.ProviderSpec{Account: strings.Repeat("x", 65<<10)})
	for name, kept := range map[string][]byte{"nothing": nil, "no JSON": []byte("x"), "too much": provider.Keep(huge)} {
		if conn := provider.Recall("team-a", "conn", kept); conn != nil {
			t.Errorf("%s: got %+v", name, conn)
		}
	}
}
