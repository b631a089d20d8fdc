// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestAnAddressThatIsNotHTTPSIsRefused(t *testing.T) {
	namespace := env.Namespace(t)
	if err := env.Apply(t.Context(), "config/policy/https_endpoints.yaml"); err != nil {
		t.Fatal(err)
	}
	plain := v1alpha1.ProviderSpec{Issuer: "http://idp.example.com"}
	inline := connection(namespace, "plain", "")
	inline.Spec.Provider = &plain
	meta := metav1.ObjectMeta{Name: "plain", Namespace: namespace}
	for _, obj := range []client.Object{
		inline,
		&v1alpha1.OAuthProvider{ObjectMeta: meta, Spec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain}},
		&v1alpha1.ClusterOAuthProvider{
			ObjectMeta: metav1.ObjectMeta{Name: "plain"},
			Spec:       v1alpha1.ClusterOAuthProviderSpec{OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain}},
		},
	} {
		eventually(t, func(ctx context.Context) (bool, error) {
			err := env.Client.Create(ctx, obj.DeepCopyObject().(client.Object), client.DryRunAll)
			if err == nil {
				return false, nil // The policy is not minded yet.
			}
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "http://idp.example.com is not an https address") {
				return false, err
			}
			return true, nil
		})
	}
	taken(t, "https", env.Client.Create(t.Context(), connection(namespace, "github", ""), client.DryRunAll))
}
