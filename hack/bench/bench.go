// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
)

const (
	// namespaces that the connections are spread over.
	namespaces = 20
	// publicURL is the same at every start: another one would change the status of everything.
	publicURL    = "https://oauth.example.com"
	providerName = "bench"
	secretKey    = "client-secret"
)

// bench is what the phases share.
type bench struct {
	n, concurrency int

	env      *testenv.Env
	identity *rest.Config // the operator's
	endpoint *endpoint
	records  *records.Records
	// connections are as they were created.
	connections []*v1alpha1.OAuthConnection
	// aging is how long the last setDue took.
	aging time.Duration
}

// start brings up the API server and the token endpoint.
func start(ctx context.Context, n, concurrency int) (_ *bench, err error) {
	b := &bench{n: n, concurrency: concurrency}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.endpoint, err = serveTokens(ctx); err != nil {
		return nil, err
	}
	if b.env, err = testenv.Start(ctx, testenv.Options{CRDs: true, RBAC: true}); err != nil {
		return nil, err
	}
	b.identity, err = b.env.OperatorConfig(ctx)
	return b, err
}

func (b *bench) close() error {
	var errs []error
	if b.endpoint != nil {
		errs = append(errs, b.endpoint.close())
	}
	if b.env != nil {
		errs = append(errs, b.env.Stop())
	}
	return errors.Join(errs...)
}

// populate makes the provider, the connections and a record for each.
func (b *bench) populate(ctx context.Context, _ *results) error {
	if err := b.createProvider(ctx); err != nil {
		return err
	}
	for i := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOf(i)}}
		if err := b.env.Client.Create(ctx, namespace); err != nil {
			return err
		}
	}
	b.connections = make([]*v1alpha1.OAuthConnection, b.n)
	err := records.Each(ctx, b.concurrency, b.n, func(ctx context.Context, i int) error {
		b.connections[i] = connection(i)
		return b.env.Client.Create(ctx, b.connections[i])
	})
	if err != nil {
		return err
	}
	if b.records, err = records.Open(ctx, b.env.Client, testenv.OperatorNamespace); err != nil {
		return err
	}
	resolved, err := b.resolver().Connection(ctx, b.connections[0])
	if err != nil {
		return err
	}
	return records.Each(ctx, b.concurrency, b.n, func(ctx context.Context, i int) error {
		return b.consent(ctx, b.connections[i], resolved)
	})
}

// createProvider makes a provider for the whole cluster that holds the client, as a platform team does.
func (b *bench) createProvider(ctx context.Context) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testenv.OperatorNamespace, Name: providerName},
		StringData: map[string]string{secretKey: "bench-client-secret"},
	}
	shared := &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: providerName},
		Spec:       v1alpha1.ClusterOAuthProviderSpec{NamespaceSelector: &metav1.LabelSelector{}},
	}
	shared.Spec.Endpoints = &v1alpha1.Endpoints{
		Authorization: v1alpha1.EndpointURL(b.endpoint.url + "/authorize"),
		Token:         v1alpha1.EndpointURL(b.endpoint.url + "/token"),
	}
	shared.Spec.Refresh = &v1alpha1.RefreshRules{Rotation: v1alpha1.RotationRotating}
	shared.Spec.Client = &v1alpha1.ClientSpec{ID: "bench", SecretRef: &v1alpha1.SecretKeyRef{Name: providerName, Key: secretKey}}
	return errors.Join(b.env.Client.Create(ctx, secret), b.env.Client.Create(ctx, shared))
}

func connection(i int) *v1alpha1.OAuthConnection {
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(i % namespaces), Name: fmt.Sprintf("connection-%05d", i)},
		Spec: v1alpha1.OAuthConnectionSpec{
			ProviderRef: &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: providerName},
			Grant:       v1alpha1.GrantAuthorizationCode,
			Scopes:      []v1alpha1.Scope{"repo", "read:org"},
		},
	}
}

func namespaceOf(i int) string { return fmt.Sprintf("team-%02d", i) }

// resolver sees providers as the operator does.
func (b *bench) resolver() *provider.Resolver {
	policy := egress.Policy{AllowHTTP: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return &provider.Resolver{
		Reader: b.env.Client, Secrets: b.env.Client, HTTP: egress.NewClient(policy), Policy: policy,
		PublicURL: publicURL, Namespace: testenv.OperatorNamespace, Clock: clock.RealClock{}, Catalog: &catalog.Catalog{},
	}
}

// ready counts the connections that are Ready, and says what keeps one of the others from it.
func (b *bench) ready(ctx context.Context) (count int, other string, err error) {
	list := &v1alpha1.OAuthConnectionList{}
	if err := b.env.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, "", err
	}
	for i := range list.Items {
		ok, why := isReady(&list.Items[i])
		if ok {
			count++
		} else {
			other = list.Items[i].Name + ": " + why
		}
	}
	return count, other, nil
}
