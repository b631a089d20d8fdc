// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTheAPIServersKeysVerifyTokensOfServiceAccounts(t *testing.T) {
	ctx, namespace := t.Context(), env.Namespace(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "robot"}}
	if err := env.Client.Create(ctx, account); err != nil {
		t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"api://provider"}}}
	if err := env.Client.SubResource("token").Create(ctx, account, request); err != nil {
		t.Fatal(err)
	}
	issuer, keys, err := env.ServiceAccountIssuer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	config := func(audience string) *oidc.Config {
		return &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256}}
	}
	token, err := oidc.NewVerifier(issuer, keys, config("api://provider")).Verify(ctx, request.Status.Token)
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + namespace + ":robot"; token.Subject != want {
		t.Errorf("the subject is %q, want %q", token.Subject, want)
	}
	if _, err := oidc.NewVerifier(issuer, keys, config("another")).Verify(ctx, request.Status.Token); err == nil {
		t.Error("another audience is accepted")
	}
}
