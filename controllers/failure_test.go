// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func TestARefusedClientIsLookedForWhereItWasWritten(t *testing.T) {
	own := &v1alpha1.ClientSpec{ID: "web", SecretRef: &v1alpha1.SecretKeyRef{Name: "hush", Key: "client-secret"}}
	for name, row := range map[string]struct {
		spec  v1alpha1.OAuthConnectionSpec
		words []string
	}{
		"the connection's own": {v1alpha1.OAuthConnectionSpec{Client: own},
			[]string{"spec.client.id", "key client-secret of Secret hush", "kubectl -n team-a edit secret hush", "30s"}},
		"its own, beside a provider object": {v1alpha1.OAuthConnectionSpec{Client: own, ProviderRef: &v1alpha1.ProviderRef{Name: "corp"}},
			[]string{"kubectl -n team-a edit secret hush"}},
		"a public one": {v1alpha1.OAuthConnectionSpec{Client: &v1alpha1.ClientSpec{ID: "web"}},
			[]string{"client id", "spec.client names no secretRef", "kubectl -n team-a edit oauthconnection github"}},
		"a provider object's": {v1alpha1.OAuthConnectionSpec{ProviderRef: &v1alpha1.ProviderRef{Kind: "OAuthProvider", Name: "corp"}},
			[]string{"OAuthProvider corp", "kubectl -n team-a describe oauthprovider corp", "30s"}},
		"a cluster provider's": {v1alpha1.OAuthConnectionSpec{ProviderRef: &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: "corp"}},
			[]string{"ask the platform team", "ClusterOAuthProvider corp", "30s"}},
	} {
		p := walkAt(noon, func(p *pass) { p.conn.Spec = row.spec })
		message := p.clientRejectedMessage("invalid_client")
		for _, part := range append(row.words, "Example refused the client (invalid_client)") {
			if !strings.Contains(message, part) {
				t.Errorf("%s: the message is %q; it does not say %q", name, message, part)
			}
		}
	}
}
