// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// Who registers a client has to name the redirect URI, and gets the secret only then.
func TestTheRedirectURIIsKnownBeforeTheClientsSecretIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idp.Options{})
	conn := w.apply("early", "provider: {issuer: ISSUER}\nclient: {id: web, secretRef: {name: nowhere}}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonClientSecretNotFound)
	if want := publicURL + "/callback/ns/" + w.namespace + "/early"; conn.Status.RedirectURI != want {
		t.Errorf("the redirect URI is %q, want %q", conn.Status.RedirectURI, want)
	}

	robot := w.apply("robot", "grant: ClientCredentials\nprovider: {issuer: ISSUER}\nclient: {id: web, secretRef: {name: nowhere}}")
	w.await(robot, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonClientSecretNotFound)
	if robot.Status.RedirectURI != "" {
		t.Errorf("a client that acts for itself has the redirect URI %q", robot.Status.RedirectURI)
	}

	shared := &v1alpha1.OAuthProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shared"}}
	shared.Spec.Issuer = v1alpha1.EndpointURL(w.provider.Issuer())
	shared.Spec.Client = &v1alpha1.ClientSpec{ID: "web", SecretRef: &v1alpha1.SecretKeyRef{Name: "nowhere"}}
	if err := env.Client.Create(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	want := publicURL + "/callback/provider/" + w.namespace + "/shared"
	w.eventually("the provider object's redirect URI", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(shared), shared); err != nil {
			return false, err.Error()
		}
		return shared.Status.RedirectURI == want && len(shared.Status.Conditions) > 0, shared.Status.RedirectURI
	})
}
