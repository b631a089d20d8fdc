// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Role is one of Kubernetes' own for people.
type Role string

// The roles that a Person can have.
const (
	View Role = "view"
	Edit Role = "edit"
)

// parts are what the controller manager would aggregate into a role, ours of config/rbac included.
func (r Role) parts() []string {
	parts := []string{"system:aggregate-to-view", "oauth-operator-view"}
	if r == Edit {
		parts = append(parts, "system:aggregate-to-edit", "oauth-operator-edit")
	}
	return parts
}

// Person is the config of a user with a client certificate who has one role in one namespace and no
// other rights. It needs Options.RBAC.
func (e *Env) Person(ctx context.Context, name string, role Role, namespace string) (*rest.Config, error) {
	config, err := e.UserConfig(name)
	if err != nil {
		return nil, err
	}
	for _, part := range role.parts() {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: fmt.Sprintf("%s-", role)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: part},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
		}
		if err := e.Client.Create(ctx, binding); err != nil {
			return nil, err
		}
	}
	return config, e.awaitRole(ctx, name, role, namespace)
}

// awaitRole waits until the authorizer knows the last binding.
func (e *Env) awaitRole(ctx context.Context, name string, role Role, namespace string) error {
	right := &authorizationv1.ResourceAttributes{
		Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "oauthconnections", Namespace: namespace,
	}
	if role == Edit {
		right.Verb, right.Resource = "create", "oauthauthorizations"
	}
	allowed := func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: name, ResourceAttributes: right}}
		err := e.Client.Create(ctx, review)
		return review.Status.Allowed, err
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, processTimeout, true, allowed)
}
