// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	options := testenv.Options{CRDs: true, RBAC: true, AuditLog: true}
	os.Exit(testenv.Run(m, options, func(e *testenv.Env) { env = e }))
}

func secret(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func TestTheOperatorMayDoWhatItsRolesAllowAndNoMore(t *testing.T) {
	ctx := t.Context()
	config, err := env.OperatorConfig(ctx)
	operator := testenv.ClientFor(t, config, err)
	if err := operator.List(ctx, &v1alpha1.OAuthConnectionList{}); err != nil {
		t.Errorf("listing connections: %v", err)
	}
	namespace := env.Namespace(t)
	if err := operator.Create(ctx, secret(namespace, "target")); err != nil {
		t.Errorf("creating a target: %v", err)
	}
	if err := operator.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); !apierrors.IsForbidden(err) {
		t.Errorf("deleting a namespace: got %v, want Forbidden", err)
	}
}

func TestAUserHasNoRightsUntilSomebodyGrantsThem(t *testing.T) {
	config, err := env.UserConfig("alice", "developers")
	alice := testenv.ClientFor(t, config, err)
	if err := alice.List(t.Context(), &v1alpha1.OAuthConnectionList{}); !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want Forbidden", err)
	}
}

func TestTheAuditLogCountsTheWritesOfAUser(t *testing.T) {
	ctx := t.Context()
	config, err := env.UserConfig("auditor", "system:masters")
	auditor := testenv.ClientFor(t, config, err)
	namespace := env.Namespace(t)
	if err := auditor.Create(ctx, secret(namespace, "one")); err != nil {
		t.Fatal(err)
	}
	if err := auditor.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "one"}, &corev1.Secret{}); err != nil {
		t.Fatal(err)
	}
	if err := auditor.Delete(ctx, secret(namespace, "one")); err != nil {
		t.Fatal(err)
	}
	got, err := env.MutatingRequests(ctx, "auditor")
	if err != nil {
		t.Fatal(err)
	}
	want := map[testenv.Mutation]int{
		{Verb: "create", Resource: "secrets"}: 1,
		{Verb: "delete", Resource: "secrets"}: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOutageOfTheAPIServerLosesNoData(t *testing.T) {
	ctx := t.Context()
	namespace := env.Namespace(t)
	if err := env.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKey{Name: namespace}
	if err := env.Client.Get(ctx, key, &corev1.Namespace{}); err == nil {
		t.Error("the API server answered while it was stopped")
	}
	if err := env.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Get(ctx, key, &corev1.Namespace{}); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestAKubeconfigIsPrivateAndWorks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testenv.WriteKubeconfig(path, env.Config); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	namespaces := &corev1.NamespaceList{}
	if err := testenv.ClientFor(t, config, err).List(t.Context(), namespaces); err != nil {
		t.Fatal(err)
	}
	isOperators := func(n corev1.Namespace) bool { return n.Name == testenv.OperatorNamespace }
	if !slices.ContainsFunc(namespaces.Items, isOperators) {
		t.Error("the operator's namespace is missing")
	}
}
