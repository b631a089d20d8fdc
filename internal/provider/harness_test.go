// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// hostile stands for text of a provider that must not be repeated.
const hostile = "h0stile<script>"

// idp is an authorization server's metadata, over real TLS and the real guarded client.
type idp struct {
	*httptest.Server
	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	requests []string
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	p := &idp{handlers: map[string]http.HandlerFunc{}}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.URL.Path)
		handler := p.handlers[r.URL.Path]
		p.mu.Unlock()
		if handler == nil {
			handler = http.NotFound
		}
		handler(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) handle(path string, handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[path] = handler
}

func (p *idp) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

const openID = "/.well-known/openid-configuration"

// document serves metadata for the server's own address; changes override or (nil) remove fields.
func (p *idp) document(path string, changes map[string]any) {
	doc := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"revocation_endpoint": p.URL + "/revoke", "userinfo_endpoint": p.URL + "/userinfo",
	}
	for name, value := range changes {
		doc[name] = value
		if value == nil {
			delete(doc, name)
		}
	}
	p.handle(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(doc) })
}

func (p *idp) policy() egress.Policy {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	return egress.Policy{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots}
}

type env struct {
	*provider.Resolver
	clock *clocktesting.FakePassiveClock
	kube  client.Client
}

// loadPresets reads the catalogue once for all tests.
var loadPresets = sync.OnceValues(catalog.Load)

func presets(t testing.TB) *catalog.Catalog {
	t.Helper()
	all, err := loadPresets()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// setup makes a resolver over a fake API server with some objects and, where p is not nil, a
// network that reaches it.
func setup(t testing.TB, p *idp, objects ...client.Object) *env {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	kube := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	r := &provider.Resolver{
		Reader: kube, Secrets: kube, PublicURL: "https://operator.example/", Namespace: "oauth-operator",
		Clock: clock, Catalog: presets(t), HTTP: egress.NewClient(egress.Policy{}),
	}
	if p != nil {
		r.Policy = p.policy()
		r.HTTP = egress.NewClient(r.Policy)
	}
	return &env{r, clock, kube}
}

func secret(namespace, name, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Data:       map[string][]byte{"client-secret": []byte(value)},
	}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// connection is one of team-a with an inline provider and a client whose Secret is "s".
func connection(spec v1alpha1.ProviderSpec) *v1alpha1.OAuthConnection {
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "conn"},
		Spec: v1alpha1.OAuthConnectionSpec{
			Provider: &spec,
			Client:   confidential("id"),
			Grant:    v1alpha1.GrantAuthorizationCode,
		},
	}
}

func referring(kind, name string) *v1alpha1.OAuthConnection {
	c := connection(v1alpha1.ProviderSpec{})
	c.Spec.Provider, c.Spec.Client = nil, nil
	c.Spec.ProviderRef = &v1alpha1.ProviderRef{Kind: kind, Name: name}
	return c
}

func confidential(id string) *v1alpha1.ClientSpec {
	return &v1alpha1.ClientSpec{ID: id, SecretRef: &v1alpha1.SecretKeyRef{Name: "s", Key: "client-secret"}}
}

func plain() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{Endpoints: &v1alpha1.Endpoints{
		Authorization: "https://idp.example/authorize", Token: "https://idp.example/token",
	}}
}

func (e *env) resolve(t testing.TB, conn *v1alpha1.OAuthConnection) *provider.Resolved {
	t.Helper()
	resolved, err := e.Connection(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// refused fails unless a connection is refused for a reason, in a message that has all words.
func (e *env) refused(t testing.TB, conn *v1alpha1.OAuthConnection, reason string, words ...string) *provider.Error {
	t.Helper()
	_, err := e.Connection(context.Background(), conn)
	return wantError(t, err, reason, words...)
}

func wantError(t testing.TB, err error, reason string, words ...string) *provider.Error {
	t.Helper()
	var refusal *provider.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %T %v, want a *provider.Error", err, err)
	}
	if refusal.Reason != reason {
		t.Errorf("reason is %s, want %s", refusal.Reason, reason)
	}
	for _, word := range words {
		if !strings.Contains(refusal.Message, word) {
			t.Errorf("the message lacks %q: %s", word, refusal.Message)
		}
	}
	if strings.Contains(refusal.Message, hostile) || len(refusal.Message) > 1024 {
		t.Errorf("the message repeats foreign text or is too long: %s", refusal.Message)
	}
	return refusal
}
