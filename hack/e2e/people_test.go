// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/plugin"
)

// person is somebody with a role in one namespace and a kubeconfig.
type person struct {
	client.Client
	name, kubeconfig string
}

func (w *world) person(t *testing.T, name string, role testenv.Role, namespace string) *person {
	t.Helper()
	config, err := w.env.Person(t.Context(), name, role, namespace)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{name: name, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if err := testenv.WriteKubeconfig(p.kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	if p.Client, err = client.New(config, client.Options{Scheme: testenv.Scheme()}); err != nil {
		t.Fatal(err)
	}
	return p
}

// asks makes connections and waits until the operator asks for a person.
func (w *world) asks(t *testing.T, connections ...*v1alpha1.OAuthConnection) {
	t.Helper()
	for _, c := range connections {
		w.create(t, c)
	}
	for _, c := range connections {
		w.await(t, c.Namespace, []string{c.Name}, func(c *v1alpha1.OAuthConnection) error {
			ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
			if ready == nil || ready.Reason != v1alpha1.ReasonAuthorizationRequired {
				return notReady(c)
			}
			return nil
		})
	}
}

// loopback is a connection whose provider sends the browser to kubectl oauth.
func (w *world) loopback(namespace, name string) *v1alpha1.OAuthConnection {
	described := w.described()
	described.Client.ID = nativeClientID
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.OAuthConnectionSpec{
			Redirect: v1alpha1.RedirectLoopback, Provider: &described.ProviderSpec, Client: described.Client,
		},
	}
}

// oauth runs kubectl oauth connect as a person. What it prints is evidence.
func (w *world) oauth(t *testing.T, p *person, namespace, name string, flags ...string) *plugin.Process {
	t.Helper()
	arguments := append([]string{"connect", name, "--namespace=" + namespace, "--no-browser"}, flags...)
	command, err := plugin.Command(p.kubeconfig, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	process, err := plugin.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Kill()
		w.evidence.plugin(process)
	})
	return process
}

// address is where the person's browser has to be opened.
func address(t *testing.T, process *plugin.Process) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	printed, err := process.Address(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

// ends waits for kubectl oauth and fails the test where it ends otherwise.
func ends(t *testing.T, process *plugin.Process, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code, err := process.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Fatalf("kubectl oauth ended with code %d, want %d:\n%s", code, want, process.Output())
	}
}

// connects does all that a person does in a terminal and in a browser.
func (w *world) connects(t *testing.T, p *person, namespace, name string, flags ...string) {
	t.Helper()
	process := w.oauth(t, p, namespace, name, flags...)
	finishes(t, &idp.Browser{}, address(t, process))
	ends(t, process, 0)
	w.awaitReady(t, namespace, []string{name})
	w.nothingLeft(t, namespace)
}

// finishes walks all pages from an address on.
func finishes(t *testing.T, browser *idp.Browser, start string) {
	t.Helper()
	page, err := browser.Connect(t.Context(), start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusOK {
		t.Fatalf("the walk ends at %s%s with status %d: %s", page.URL.Host, page.URL.Path, page.Status, page.Body)
	}
}

// nothingLeft checks that kubectl oauth has deleted its attempts.
func (w *world) nothingLeft(t *testing.T, namespace string) {
	t.Helper()
	attempts := &v1alpha1.OAuthAuthorizationList{}
	if err := w.env.Client.List(t.Context(), attempts, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, a := range attempts.Items {
		if a.Spec.Method == v1alpha1.PairingLoopback {
			t.Errorf("OAuthAuthorization %s is left", a.Name)
		}
	}
}

// signIn returns the flags that let people sign in to pages, at the provider.
func (w *world) signIn(t *testing.T) []string {
	t.Helper()
	if err := w.env.Apply(t.Context(), "config/signin"); err != nil {
		t.Fatal(err)
	}
	w.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testenv.OperatorNamespace, Name: "signin"},
		StringData: map[string]string{"client-secret": w.secret},
	})
	return []string{
		"--signin-issuer=" + w.provider.Issuer(), "--signin-client-id=" + signInClientID,
		"--signin-client-secret=signin", "--signin-username-claim=email",
	}
}

// connectsByPage signs in to the operator's pages as somebody who may edit, and connects there.
func (w *world) connectsByPage(t *testing.T, namespace, name string) {
	t.Helper()
	if _, err := w.env.Person(t.Context(), idp.DefaultUser().Email, testenv.Edit, namespace); err != nil {
		t.Fatal(err)
	}
	finishes(t, &idp.Browser{}, w.front.URL+"/connect/"+namespace+"/"+name)
	w.madeBySignIn(t, namespace, name)
	w.awaitReady(t, namespace, []string{name})
}

// madeBySignIn checks that an attempt carries the name of who signed in.
func (w *world) madeBySignIn(t *testing.T, namespace, name string) {
	t.Helper()
	attempts := &v1alpha1.OAuthAuthorizationList{}
	if err := w.env.Client.List(t.Context(), attempts, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	seen := ""
	for _, a := range attempts.Items {
		if a.Spec.Connection == name && a.Spec.Method == v1alpha1.PairingSignIn && a.Spec.Requester == idp.DefaultUser().Email {
			return
		}
		seen += fmt.Sprintf("\n%s by %q for %s", a.Spec.Method, a.Spec.Requester, a.Spec.Connection)
	}
	t.Errorf("no attempt was made by signing in:%s", seen)
}
