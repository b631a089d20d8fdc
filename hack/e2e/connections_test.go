// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// browsers is how many people consent at the same time.
const browsers = 8

// create makes an object as the administrator.
func (w *world) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := w.env.Client.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// described is the provider, and the client of Secret "client".
func (w *world) described() v1alpha1.OAuthProviderSpec {
	return v1alpha1.OAuthProviderSpec{
		ProviderSpec: v1alpha1.ProviderSpec{
			Issuer:  v1alpha1.EndpointURL(w.provider.Issuer()),
			Scopes:  &v1alpha1.ScopeRules{Required: []v1alpha1.Scope{"openid", "email", "offline_access"}},
			Account: "idToken.email",
			Refresh: &v1alpha1.RefreshRules{Rotation: v1alpha1.RotationRotating},
		},
		Client: &v1alpha1.ClientSpec{ID: clientID, SecretRef: &v1alpha1.SecretKeyRef{Name: "client"}},
	}
}

// team makes a namespace with the client's Secret and OAuthProvider "provider".
func (w *world) team(t *testing.T, labels map[string]string) string {
	t.Helper()
	namespace, err := w.env.CreateNamespace(t.Context(), labels)
	if err != nil {
		t.Fatal(err)
	}
	w.clientSecret(t, namespace, "client")
	w.create(t, &v1alpha1.OAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "provider"}, Spec: w.described(),
	})
	return namespace
}

func (w *world) clientSecret(t *testing.T, namespace, name string) {
	t.Helper()
	w.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{"client-secret": w.secret},
	})
}

// connection refers to OAuthProvider "provider" of its namespace.
func connection(namespace, name string) *v1alpha1.OAuthConnection {
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.OAuthConnectionSpec{ProviderRef: &v1alpha1.ProviderRef{Name: "provider"}},
	}
}

// connected makes n connections in a team's namespace and consents to all.
func (w *world) connected(t *testing.T, namespace string, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("connection-%03d", i)
	}
	each(t, names, func(ctx context.Context, name string) error {
		return w.env.Client.Create(ctx, connection(namespace, name))
	})
	w.consent(t, namespace, names)
	return names
}

// consent walks every connection's pages as a person, and waits until all are Ready.
func (w *world) consent(t *testing.T, namespace string, names []string) {
	t.Helper()
	began := time.Now()
	each(t, names, func(ctx context.Context, name string) error {
		start, err := w.startAddress(ctx, namespace, name)
		if err != nil {
			return err
		}
		page, err := (&idp.Browser{}).Connect(ctx, start, idp.DefaultUser())
		if err == nil && page.Status != http.StatusOK {
			err = fmt.Errorf("%s ends with status %d: %s", name, page.Status, page.Body)
		}
		return err
	})
	w.awaitReady(t, namespace, names)
	t.Logf("%d people consented in %.1f s", len(names), time.Since(began).Seconds())
}

// each does something for all names, a few at a time.
func each(t *testing.T, names []string, do func(context.Context, string) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(browsers)
	for _, name := range names {
		group.Go(func() error { return do(ctx, name) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// startAddress waits for the address where a person begins.
func (w *world) startAddress(ctx context.Context, namespace, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, err := w.get(ctx, namespace, name)
		if err != nil {
			return "", err
		}
		if c.Status.AuthorizationURL != "" {
			return c.Status.AuthorizationURL, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("nobody can connect %s: %w", name, notReady(c))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *world) get(ctx context.Context, namespace, name string) (*v1alpha1.OAuthConnection, error) {
	c := &v1alpha1.OAuthConnection{}
	return c, w.env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, c)
}

// list returns a namespace's connections by their names.
func (w *world) list(ctx context.Context, namespace string) (map[string]*v1alpha1.OAuthConnection, error) {
	var list v1alpha1.OAuthConnectionList
	err := w.env.Client.List(ctx, &list, client.InNamespace(namespace))
	byName := map[string]*v1alpha1.OAuthConnection{}
	for i := range list.Items {
		byName[list.Items[i].Name] = &list.Items[i]
	}
	return byName, err
}

// awaitReady waits until all are Ready.
func (w *world) awaitReady(t *testing.T, namespace string, names []string) {
	t.Helper()
	w.await(t, namespace, names, notReady)
}

// await waits until no connection has an objection.
func (w *world) await(t *testing.T, namespace string, names []string, objection func(*v1alpha1.OAuthConnection) error) {
	t.Helper()
	eventually(t, patience, func(ctx context.Context) error {
		all, err := w.list(ctx, namespace)
		if err != nil {
			return err
		}
		for _, name := range names {
			if all[name] == nil {
				return fmt.Errorf("%s is gone", name)
			}
			if err := objection(all[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// notReady says why a connection is not Ready for its present spec.
func notReady(c *v1alpha1.OAuthConnection) error {
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case ready == nil:
		return errors.New(c.Name + " has no condition")
	case ready.ObservedGeneration != c.Generation:
		return fmt.Errorf("%s was not looked at since its change", c.Name)
	case ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonReady:
		return fmt.Errorf("%s is not Ready: %s: %s", c.Name, ready.Reason, ready.Message)
	}
	return nil
}

// askRefresh puts the annotation that asks for a refresh on connections.
func (w *world) askRefresh(t *testing.T, namespace string, names []string, value string) {
	t.Helper()
	each(t, names, func(ctx context.Context, name string) error {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RefreshRequestedAnnotation, value)
		return w.env.Client.Patch(ctx, connection(namespace, name), client.RawPatch(types.MergePatchType, []byte(patch)))
	})
}

// refreshed waits until connections are Ready and acknowledge a request for a refresh.
func (w *world) refreshed(t *testing.T, namespace string, names []string, value string) {
	t.Helper()
	w.await(t, namespace, names, func(c *v1alpha1.OAuthConnection) error {
		if c.Status.LastHandledRefresh != value {
			return fmt.Errorf("%s was not refreshed for request %q", c.Name, value)
		}
		return notReady(c)
	})
}

// accepted checks that every target holds a token that the provider takes now.
func (w *world) accepted(t *testing.T, namespace string, names []string) {
	t.Helper()
	for _, name := range names {
		target := &corev1.Secret{}
		if err := w.env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, target); err != nil {
			t.Error(err)
			continue
		}
		if !w.provider.AccessTokenValid(string(target.Data["access_token"])) {
			t.Errorf("the provider does not take the token of Secret %s", name)
		}
	}
}

// tokenRequests counts the requests for tokens with a grant.
func (w *world) tokenRequests(grant string) int {
	n := 0
	for _, r := range w.provider.Requests(idp.Token) {
		if r.GrantType == grant {
			n++
		}
	}
	return n
}
