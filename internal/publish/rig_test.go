// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run()) // the template needs no API server, and workers would start one each
	}
	os.Exit(testenv.Run(m, testenv.Options{CRDs: true, RBAC: true}, func(e *testenv.Env) { env = e }))
}

// recorder notes the requests that a client sends.
type recorder struct {
	mu       sync.Mutex
	requests []string
	next     http.RoundTripper
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests = append(r.requests, req.Method)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// taken returns the methods since the last call.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}

// rig is a Publisher with the operator's rights, whose requests are counted.
type rig struct {
	*Publisher
	requests  *recorder
	namespace string
	informer  cache.Informer
}

func newRig(t *testing.T, watch bool) *rig {
	t.Helper()
	config, err := env.OperatorConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Publisher: &Publisher{}, requests: &recorder{}, namespace: env.Namespace(t)}
	if watch {
		r.watch(t, config)
	}
	counted := rest.CopyConfig(config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		r.requests.next = next
		return r.requests
	})
	if r.Client, err = client.New(counted, client.Options{Scheme: testenv.Scheme()}); err != nil {
		t.Fatal(err)
	}
	// The first request of a client looks up the kind Secret.
	_ = r.Client.Get(t.Context(), types.NamespacedName{Namespace: r.namespace, Name: "x"}, &corev1.Secret{})
	r.requests.taken()
	return r
}

func (r *rig) watch(t *testing.T, config *rest.Config) {
	t.Helper()
	c, err := cache.New(config, cache.Options{Scheme: testenv.Scheme(), ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: CacheOptions()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := IndexFields(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if r.informer, err = c.GetInformer(t.Context(), metadata(types.NamespacedName{})); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := c.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if !c.WaitForCacheSync(t.Context()) {
		t.Fatal("the cache does not fill")
	}
	r.Metadata = c
}

// connection creates an OAuthConnection.
func (r *rig) connection(t *testing.T, name string, secret v1alpha1.SecretSpec) *v1alpha1.OAuthConnection {
	t.Helper()
	conn := &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		Spec: v1alpha1.OAuthConnectionSpec{
			ProviderRef: &v1alpha1.ProviderRef{Name: "somebody"},
			Secret:      secret,
		},
	}
	if err := env.Client.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (r *rig) publish(t *testing.T, conn *v1alpha1.OAuthConnection, v Values) {
	t.Helper()
	if err := r.Publish(t.Context(), conn, v); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r *rig) gone(t *testing.T, name string) bool {
	t.Helper()
	err := env.Client.Get(t.Context(), types.NamespacedName{Namespace: r.namespace, Name: name}, &corev1.Secret{})
	return client.IgnoreNotFound(err) == nil && err != nil
}

// seen waits until the cache holds the Secret's present version.
func (r *rig) seen(t *testing.T, name string) {
	t.Helper()
	version := r.secret(t, name).ResourceVersion
	eventually(t, func() error {
		m := metadata(types.NamespacedName{Namespace: r.namespace, Name: name})
		if err := r.Metadata.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
			return err
		}
		if m.ResourceVersion != version {
			return fmt.Errorf("the cache holds version %s, not %s", m.ResourceVersion, version)
		}
		return nil
	})
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func token(text string) Values {
	return Values{
		AccessToken: oauth.NewSecret(text),
		TokenType:   "Bearer",
		Expiry:      time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
		Scopes:      []string{"read", "write"},
		Account:     "octocat",
	}
}

func expectRequests(t *testing.T, r *rig, want ...string) {
	t.Helper()
	if got := r.requests.taken(); !slices.Equal(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

func expectError(t *testing.T, err error, reason string, words ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want reason %s", err, reason)
	}
	if e.Reason != reason {
		t.Errorf("reason %s (%s), want %s", e.Reason, e.Message, reason)
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			t.Errorf("message %q does not say %q", e.Message, word)
		}
	}
}
