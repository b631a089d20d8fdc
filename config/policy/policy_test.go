// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy_test shows to a real API server what the policies of this folder are for.
package policy_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// What the built-in roles are made of, without the controller manager that puts them together.
const (
	editRole      = "system:aggregate-to-edit"
	viewRole      = "system:aggregate-to-view"
	ownersRole    = "oauth-operator-edit" // says nothing about Secrets
	onlookersRole = "oauth-operator-view"
)

const (
	patience = 30 * time.Second
	moment   = 20 * time.Millisecond
)

var env *testenv.Env

func TestMain(m *testing.M) {
	options := testenv.Options{CRDs: true, RBAC: true, Policies: true}
	os.Exit(testenv.Run(m, options, func(e *testenv.Env) { env = e }))
}

// person has ClusterRoles in one namespace, and the right to look around there.
func person(t *testing.T, namespace, name string, roles ...string) client.Client {
	t.Helper()
	for _, role := range append(roles, onlookersRole) {
		grant(t, namespace, name, rbacv1.RoleRef{Kind: "ClusterRole", Name: role})
	}
	// The API server learns of bindings in the order in which they were stored.
	awaitRight(t, name, authorizationv1.ResourceAttributes{
		Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "oauthconnections", Namespace: namespace,
	})
	config, err := env.UserConfig(name)
	return testenv.ClientFor(t, config, err)
}

func operator(t *testing.T) client.Client {
	t.Helper()
	config, err := env.OperatorConfig(t.Context())
	return testenv.ClientFor(t, config, err)
}

func grant(t *testing.T, namespace, name string, role rbacv1.RoleRef) {
	t.Helper()
	store(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace},
		RoleRef:    role,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: name}},
	})
}

// letRead grants the right to get one Secret, or all where it has no name.
func letRead(t *testing.T, namespace, name, secret string) {
	t.Helper()
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}
	if secret != "" {
		rule.ResourceNames = []string{secret}
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace}, Rules: []rbacv1.PolicyRule{rule}}
	store(t, role)
	grant(t, namespace, name, rbacv1.RoleRef{Kind: "Role", Name: role.Name})
	awaitRight(t, name, authorizationv1.ResourceAttributes{
		Verb: "get", Resource: "secrets", Namespace: namespace, Name: secret,
	})
}

func awaitRight(t *testing.T, name string, right authorizationv1.ResourceAttributes) {
	t.Helper()
	eventually(t, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: name, ResourceAttributes: &right,
		}}
		err := env.Client.Create(ctx, review)
		return review.Status.Allowed, err
	})
}

func eventually(t *testing.T, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), moment, patience, true, condition); err != nil {
		t.Fatal(err)
	}
}

// store creates an object as the administrator.
func store(t *testing.T, obj client.Object) {
	t.Helper()
	if err := env.Client.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, c client.Client, obj client.Object, patch string) error {
	t.Helper()
	return c.Patch(t.Context(), obj.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(patch)))
}

// taken fails the test where the API server refused.
func taken(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// refused fails the test where the API server did not refuse with all of these words.
func refused(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s: got %v, want Forbidden", what, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}
