// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// cluster is an API server for the tests that need one.
type cluster struct {
	once sync.Once
	env  *testenv.Env
	err  error
}

var shared cluster

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.env != nil {
		if err := shared.env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// apiServer starts it at its first use.
func apiServer(t *testing.T) *testenv.Env {
	t.Helper()
	shared.once.Do(func() {
		shared.env, shared.err = testenv.Start(context.Background(), testenv.Options{CRDs: true, RBAC: true})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.env
}

func TestEveryCatalogueFileIsAProviderThatTheAPIServerTakes(t *testing.T) {
	env := apiServer(t)
	namespace := env.Namespace(t)
	all := presets(t)
	for _, name := range all.Names() {
		t.Run(name, func(t *testing.T) {
			entry, _ := all.Entry(name)
			p := &v1alpha1.OAuthProvider{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Spec:       v1alpha1.OAuthProviderSpec{ProviderSpec: *entry.Spec.DeepCopy()},
			}
			p.Spec.Scopes = withExamples(p.Spec.Scopes, entry.ExampleScopes)
			if err := env.Client.Create(t.Context(), p, client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

// withExamples lets the schema look at the example scopes as well.
func withExamples(rules *v1alpha1.ScopeRules, examples []v1alpha1.Scope) *v1alpha1.ScopeRules {
	if rules == nil {
		rules = &v1alpha1.ScopeRules{}
	}
	rules.Default = slices.Compact(slices.Sorted(slices.Values(slices.Concat(rules.Default, examples))))
	return rules
}
