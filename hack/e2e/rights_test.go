// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

// everyRightIsUsed does what people do with the operator, once each: NoRightWasLeftUnused judges.
func everyRightIsUsed(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: time.Hour, Rotation: true, ReuseDetection: true})
	// As before an API server that streams what there is at the start of a watch.
	p := w.startWith(t, operator.Options{
		Modes: []string{"Pairing", "Link"}, Args: w.signIn(t), Env: []string{"KUBE_FEATURE_WatchListClient=false"},
	})
	namespace := w.team(t, map[string]string{"e2e": "selected"})
	names := w.allKinds(t, namespace)
	w.consent(t, namespace, names)
	for _, name := range []string{"itself", "inline"} { // no person, or a client of its own
		w.awaitReady(t, namespace, []string{name})
	}
	w.asks(t, connection(namespace, "paired"))
	w.connects(t, w.person(t, "edith", testenv.Edit, namespace), namespace, "paired")
	w.connectsByPage(t, namespace, "inline")
	names = append(names, "itself", "paired")
	w.showsATokenOf(t, namespace, "robot")

	w.askRefresh(t, namespace, names, "once")
	w.refreshed(t, namespace, names, "once")
	w.heals(t, namespace, "own")
	w.movesItsTarget(t, namespace, "own")
	w.repeatsItself(t, namespace, "own")
	w.gone(t, namespace, names)
	w.stop(t, p)

	w.startWith(t, operator.Options{
		Args: []string{"--watch-namespace=" + namespace}, Env: []string{"KUBE_FEATURE_WatchListClient=false"},
	})
	w.connected(t, namespace, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.complete = !t.Failed()
}

// allKinds makes a connection for each place where a provider can be described, and one that needs no
// person. It returns those that need one.
func (w *world) allKinds(t *testing.T, namespace string) []string {
	t.Helper()
	w.clientSecret(t, testenv.OperatorNamespace, "shared-client")
	shared := w.described()
	shared.Client.SecretRef.Name = "shared-client"
	w.create(t, &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "shared"},
		Spec: v1alpha1.ClusterOAuthProviderSpec{
			OAuthProviderSpec: shared,
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"e2e": "selected"}},
		},
	})
	own, cluster, inline, itself := connection(namespace, "own"), connection(namespace, "cluster"),
		connection(namespace, "inline"), connection(namespace, "itself")
	cluster.Spec.ProviderRef = &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: "shared"}
	described := w.described()
	inline.Spec = v1alpha1.OAuthConnectionSpec{Provider: &described.ProviderSpec, Client: described.Client}
	itself.Spec.Grant = v1alpha1.GrantClientCredentials
	for _, c := range []*v1alpha1.OAuthConnection{own, cluster, inline, itself} {
		w.create(t, c)
	}
	return []string{"own", "cluster", "inline"}
}

// showsATokenOf has a client authenticate with tokens of a ServiceAccount. The provider does not know it.
func (w *world) showsATokenOf(t *testing.T, namespace, account string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: account}
	operatorAccount := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: testenv.OperatorNamespace, Name: testenv.OperatorServiceAccount}
	w.create(t, &corev1.ServiceAccount{ObjectMeta: meta})
	w.create(t, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{account}, Verbs: []string{"create"},
	}}})
	w.create(t, &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{operatorAccount},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
	})
	eventually(t, patience, func(ctx context.Context) error { // the authorizer learns of bindings a moment later
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + operatorAccount.Namespace + ":" + operatorAccount.Name,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: account,
			},
		}}
		if err := w.env.Client.Create(ctx, review); err != nil || review.Status.Allowed {
			return err
		}
		return fmt.Errorf("the operator may not create tokens of %s yet", account)
	})
	described, federated := w.described(), connection(namespace, "federated")
	federated.Spec = v1alpha1.OAuthConnectionSpec{
		Provider: &described.ProviderSpec, Grant: v1alpha1.GrantClientCredentials,
		Client: &v1alpha1.ClientSpec{
			ID: "federated", Authentication: v1alpha1.ClientAuthenticationServiceAccountToken,
			ServiceAccountRef: &v1alpha1.ServiceAccountRef{Name: account, Audience: w.provider.Issuer()},
		},
	}
	w.create(t, federated)
	w.await(t, namespace, []string{federated.Name}, func(c *v1alpha1.OAuthConnection) error {
		ready := apimeta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
		if ready == nil || ready.Reason != v1alpha1.ReasonClientRejected {
			return fmt.Errorf("the provider was not shown a token: %+v", ready)
		}
		return nil
	})
}

// heals checks that a target comes back at once when somebody deletes it.
func (w *world) heals(t *testing.T, namespace, name string) {
	t.Helper()
	target := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if err := w.env.Client.Get(t.Context(), key, target); err != nil {
		t.Fatal(err)
	}
	if err := w.env.Client.Delete(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func(ctx context.Context) error {
		healed := &corev1.Secret{}
		err := w.env.Client.Get(ctx, key, healed)
		if err == nil && string(healed.Data["access_token"]) != string(target.Data["access_token"]) {
			err = fmt.Errorf("target %s came back with another token", name)
		}
		return err
	})
}

// movesItsTarget gives a target another name: the former one is deleted.
func (w *world) movesItsTarget(t *testing.T, namespace, name string) {
	t.Helper()
	w.patch(t, namespace, name, `{"spec":{"secret":{"name":"moved"}}}`)
	w.awaitReady(t, namespace, []string{name})
	eventually(t, patience, func(ctx context.Context) error {
		err := w.env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{})
		return stillThere(name, err)
	})
}

// repeatsItself makes the operator say the same twice, which it does by patching the Event.
func (w *world) repeatsItself(t *testing.T, namespace, name string) {
	t.Helper()
	for range 2 {
		w.patch(t, namespace, name, `{"spec":{"suspend":true}}`)
		w.await(t, namespace, []string{name}, func(c *v1alpha1.OAuthConnection) error {
			if c.Status.ObservedGeneration != c.Generation {
				return fmt.Errorf("%s was not suspended", name)
			}
			return nil
		})
		w.patch(t, namespace, name, `{"spec":{"suspend":false}}`)
		w.awaitReady(t, namespace, []string{name})
	}
}

// gone deletes connections and waits until they are, revoked at the provider.
func (w *world) gone(t *testing.T, namespace string, names []string) {
	t.Helper()
	for _, name := range names {
		if err := w.env.Client.Delete(t.Context(), connection(namespace, name)); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, func(ctx context.Context) error {
			_, err := w.get(ctx, namespace, name)
			return stillThere(name, err)
		})
	}
	if n := w.provider.Count(idp.Revocation); n < len(names) {
		t.Errorf("%d of %d grants were revoked", n, len(names))
	}
	targets := &corev1.SecretList{}
	if err := w.env.Client.List(t.Context(), targets, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	targets.Items = slices.DeleteFunc(targets.Items, func(s corev1.Secret) bool { return s.Name == "client" })
	if n := len(targets.Items); n != 0 {
		t.Errorf("%d targets outlived their connections", n)
	}
}

func stillThere(name string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err == nil:
		return fmt.Errorf("%s is still there", name)
	}
	return err
}

func (w *world) patch(t *testing.T, namespace, name, patch string) {
	t.Helper()
	change := client.RawPatch(types.MergePatchType, []byte(patch))
	if err := w.env.Client.Patch(t.Context(), connection(namespace, name), change); err != nil {
		t.Fatal(err)
	}
}
