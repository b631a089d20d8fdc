// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// env is the API server and publicURL the operator's address. The operator runs in this process,
// with the identity and the rights that config/rbac gives it.
var (
	env       *testenv.Env
	publicURL string
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait more than they work.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e, err := testenv.Start(ctx, testenv.Options{CRDs: true, RBAC: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	env = e
	ended := make(chan error, 1)
	if err := startOperator(ctx, ended); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	awaitPages()
	code := m.Run()
	cancel()
	if err := errors.Join(<-ended, env.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// startOperator runs the operator until ctx ends; how it ended is sent to ended.
func startOperator(ctx context.Context, ended chan<- error) error {
	config, err := env.OperatorConfig(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oauth-operator-test-")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := testenv.WriteKubeconfig(kubeconfig, config); err != nil {
		return err
	}
	if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
		return err
	}
	address, err := testenv.ReserveAddr(ctx)
	if err != nil {
		return err
	}
	publicURL = "http://" + address
	o, err := parse([]string{
		"--namespace=" + testenv.OperatorNamespace, "--public-url=" + publicURL, "--callback-bind-address=" + address,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--connect-mode=Link", "--connect-mode=Pairing", "--connect-mode=DeviceCode", "--requests-per-minute=1000000",
		"--allow-http", "--allow-cidr=127.0.0.0/8", "--log-level=error",
	})
	if err != nil {
		return err
	}
	ctrl.SetLogger(o.logger())
	go func() { ended <- run(ctx, o) }()
	return nil
}

// awaitPages waits until the operator serves its pages: a test that ends before would cut off its start.
func awaitPages() {
	for range 1500 {
		if response, err := http.Get(publicURL); err == nil {
			response.Body.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// world is what a test has of its own: a namespace and a provider.
type world struct {
	*testing.T
	namespace string
	provider  *idp.Provider
	user      idp.User
}

func newWorld(t *testing.T, o idp.Options) *world {
	t.Helper()
	provider, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	w := &world{T: t, namespace: env.Namespace(t), provider: provider, user: idp.DefaultUser()}
	w.createSecret("client", map[string]string{"client-secret": idp.DefaultClient().Secret})
	return w
}

func (w *world) createSecret(name string, data map[string]string) {
	w.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: data}
	if err := env.Client.Create(w.Context(), secret); err != nil {
		w.Fatal(err)
	}
}

// inline is a provider and a client that work; spec adds to it or replaces parts of it.
func (w *world) inline(spec string) string {
	return "provider: {issuer: '" + w.provider.Issuer() + "'}\n" +
		"client: {id: " + idp.DefaultClient().ID + ", secretRef: {name: client}}\n" + spec
}

// apply creates a connection from YAML. In it ISSUER stands for the provider's address.
func (w *world) apply(name, spec string) *v1alpha1.OAuthConnection {
	w.Helper()
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(spec, "ISSUER", w.provider.Issuer())), &content); err != nil {
		w.Fatal(err)
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "OAuthConnection",
		"metadata": map[string]any{"name": name, "namespace": w.namespace}, "spec": content,
	}}
	if err := env.Client.Create(w.Context(), obj, client.FieldValidation("Strict")); err != nil {
		w.Fatal(err)
	}
	return &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}}
}

// eventually polls for half a minute.
func (w *world) eventually(what string, ok func() (bool, string)) {
	w.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		done, state := ok()
		if done {
			return
		}
		last = state
	}
	w.Fatalf("%s: not within a minute; the last state is\n%s", what, last)
}

// await waits until a condition of the connection has this status and reason, and returns it.
func (w *world) await(conn *v1alpha1.OAuthConnection, condition string, status metav1.ConditionStatus, reason string) *metav1.Condition {
	w.Helper()
	var found *metav1.Condition
	w.eventually(condition+" "+string(status)+" "+reason, func() (bool, string) {
		if err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		found = meta.FindStatusCondition(conn.Status.Conditions, condition)
		return found != nil && found.Status == status && found.Reason == reason, describe(conn)
	})
	return found
}

func describe(conn *v1alpha1.OAuthConnection) string {
	text, err := yaml.Marshal(conn.Status)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// connect walks the consent in a browser and returns the last page.
func (w *world) connect(conn *v1alpha1.OAuthConnection) *idp.Page {
	w.Helper()
	w.eventually("an address to start at", func() (bool, string) {
		if err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return conn.Status.AuthorizationURL != "", describe(conn)
	})
	page, err := (&idp.Browser{}).Connect(w.Context(), conn.Status.AuthorizationURL, w.user)
	if err != nil {
		w.Fatal(err)
	}
	return page
}

// target reads the Secret that workloads mount.
func (w *world) target(name string) *corev1.Secret {
	w.Helper()
	secret := &corev1.Secret{}
	if err := env.Client.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, secret); err != nil {
		w.Fatal(err)
	}
	return secret
}
