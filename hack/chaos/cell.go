// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
)

const (
	// publicURL is the same at every start: another one would change the status of everything.
	publicURL = "https://oauth.example.com"
	// planters is how many objects are made at the same time.
	planters = 16
)

// cell is an installation of its own: an operator's namespace with its identity, namespaces that only it
// serves, and a provider. Cells share the API server and know nothing of each other.
type cell struct {
	*suite
	name     string
	teams    []string
	identity *rest.Config
	tokens   *tokenServer
	records  *records.Records
	resolver *provider.Resolver
	// window is the retryWindow that connections are told of the provider.
	window time.Duration
	// rotation is what they are told of rotation.
	rotation v1alpha1.Rotation
	conns    []*connection
	dir      string // of journals and traces
	closers  []func() error
}

// connection is one of a cell's.
type connection struct {
	object *v1alpha1.OAuthConnection
	// family of tokens that it was given last.
	family atomic.Int64
}

// cellOptions say what a cell is like.
type cellOptions struct {
	teams, connections int
	rules              rules
	window             time.Duration
	// clients is how many registrations the connections of a team are spread over; 0 is one.
	clients int
	// token is the first one of connection i; nil: one that was just obtained and lives for an hour.
	token func(i int) (obtained time.Time, life time.Duration)
}

// newCell makes an installation with its connections and their records, and no operator yet.
func (s *suite) newCell(ctx context.Context, name string, o cellOptions) (_ *cell, err error) {
	c := &cell{suite: s, name: "chaos-" + name, window: o.window, rotation: v1alpha1.RotationRotating}
	if !o.rules.rotates {
		c.rotation = v1alpha1.RotationStatic
	}
	if c.dir, err = os.MkdirTemp(s.dir, name+"-"); err != nil {
		return nil, err
	}
	if c.tokens, err = serveTokens(ctx, s.seed, o.rules); err != nil {
		return nil, err
	}
	c.closers = append(c.closers, c.tokens.close)
	if err := c.install(ctx, max(o.teams, 1)); err != nil {
		return nil, fmt.Errorf("installing %s: %w", name, err)
	}
	if c.records, err = records.Open(ctx, s.env.Client, c.name); err != nil {
		return nil, err
	}
	policy := egress.Policy{AllowHTTP: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	c.resolver = &provider.Resolver{
		Reader: s.env.Client, Secrets: s.env.Client, HTTP: egress.NewClient(policy), Policy: policy,
		PublicURL: publicURL, Namespace: c.name, Clock: clock.RealClock{}, Catalog: &catalog.Catalog{},
	}
	return c, c.populate(ctx, o)
}

// install gives the operator of this cell a namespace, namespaces to serve, and the rights of config/rbac.
func (c *cell) install(ctx context.Context, teams int) error {
	for i := range teams {
		c.teams = append(c.teams, fmt.Sprintf("%s-team-%02d", c.name, i))
	}
	for _, namespace := range append([]string{c.name}, c.teams...) {
		if err := c.env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
			return err
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: testenv.OperatorServiceAccount, Namespace: c.name}}
	if err := c.env.Client.Create(ctx, account); err != nil {
		return err
	}
	if err := c.copyRights(ctx); err != nil {
		return err
	}
	var err error
	if c.identity, err = c.env.ServiceAccountConfig(ctx, account); err != nil {
		return err
	}
	return c.awaitRights(ctx)
}

// copyRights binds what the operator's own ServiceAccount is bound to.
func (c *cell) copyRights(ctx context.Context) error {
	role := &rbacv1.Role{}
	var bindings rbacv1.ClusterRoleBindingList
	err := errors.Join(
		c.env.Client.Get(ctx, objectKey(testenv.OperatorNamespace, testenv.OperatorServiceAccount), role),
		c.env.Client.List(ctx, &bindings))
	if err != nil {
		return err
	}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: c.name, Name: testenv.OperatorServiceAccount}}
	meta := metav1.ObjectMeta{Namespace: c.name, Name: role.Name}
	err = errors.Join(
		c.env.Client.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: role.Rules}),
		c.env.Client.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}}))
	for _, b := range bindings.Items {
		if err != nil {
			return err
		}
		if len(b.Subjects) == 1 && b.Subjects[0].Namespace == testenv.OperatorNamespace {
			err = c.env.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: b.Name + "-" + c.name}, Subjects: subjects, RoleRef: b.RoleRef,
			})
		}
	}
	return err
}

// awaitRights waits for the API server's authorizer, which learns of roles a moment after they are stored.
func (c *cell) awaitRights(ctx context.Context) error {
	user := "system:serviceaccount:" + c.name + ":" + testenv.OperatorServiceAccount
	rights := []authorizationv1.ResourceAttributes{
		{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: c.name},
		{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "oauthconnections"},
		{Verb: "list", Resource: "secrets"},
	}
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		for _, right := range rights {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &right}}
			if err := c.env.Client.Create(ctx, review); err != nil || !review.Status.Allowed {
				return false, err
			}
		}
		return true, nil
	}, func() string { return "the operator has no rights" })
}

func (c *cell) close() error {
	var errs []error
	for _, end := range c.closers {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
