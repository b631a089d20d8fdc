// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

func TestTheAPIServerTakesWhatInitWritesForEveryProvider(t *testing.T) {
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	namespace := env.Namespace(t)
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		p := preset{name, entry}
		args := []string{"kubectl-oauth", "init", name, name, "-n", namespace, "--scope", "repo,read:org"}
		code, out, stderr := execute(t, append(args, strings.Fields(p.exampleFlags())...)...)
		if code != 0 {
			t.Fatalf("%s: %s", name, stderr)
		}
		conn := apply(t, out)
		asked := len(conn.Spec.Scopes)
		if subject := conn.Spec.Subject; subject != nil && subject.SignedJWT != nil {
			asked = len(strings.Fields(subject.SignedJWT.Claims["scope"]))
		}
		if conn.Namespace != namespace || conn.Spec.Provider.Preset != name || asked != 2 {
			t.Errorf("%s: got %+v", name, conn.Spec)
		}
	}
}

func TestTheAPIServerTakesTheCatalogueExamples(t *testing.T) {
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	namespace := env.Namespace(t)
	for _, name := range presets.Names() {
		_, out, _ := execute(t, "kubectl-oauth", "providers", name, "-n", namespace)
		_, example, found := strings.Cut(out, "\napiVersion: ")
		if !found {
			t.Fatalf("%s has no example:\n%s", name, out)
		}
		apply(t, "apiVersion: "+example)
	}
}

func TestWhateverIsTypedStaysThatTextInTheYAML(t *testing.T) {
	hostile := []string{"true", "0x10", "1e3", "null", "~", "a: b", "- a", "#a", "a #b", "'", `"`, "{a}", "*a", "&a", "!a", "%a", "a:", "?", "|", ">", "@a", "`a`"}
	for _, text := range hostile {
		d := catalog.Draft{Entry: &catalog.Entry{}, Preset: "github", Namespace: "a", Name: "b", ClientID: text}
		conn := &v1alpha1.OAuthConnection{}
		if err := yaml.UnmarshalStrict([]byte(d.YAML()), conn); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if conn.Spec.Client.ID != text {
			t.Errorf("%q became %q", text, conn.Spec.Client.ID)
		}
	}
}

func TestASignedSubjectItselfAsksForTheScopes(t *testing.T) {
	entry := &catalog.Entry{Grants: []v1alpha1.GrantType{v1alpha1.GrantJWTBearer}, ExampleScopes: []v1alpha1.Scope{"example"}}
	for want, scopes := range map[string][]v1alpha1.Scope{"read write": {"read", "write"}, "example": nil} {
		d := catalog.Draft{Entry: entry, Preset: "any", Namespace: "a", Name: "b", Scopes: scopes}
		conn := &v1alpha1.OAuthConnection{}
		if err := yaml.UnmarshalStrict([]byte(d.YAML()), conn); err != nil {
			t.Fatal(err)
		}
		if got := conn.Spec.Subject.SignedJWT.Claims["scope"]; got != want || len(conn.Spec.Scopes) != 0 {
			t.Errorf("the assertion asks for %q, want %q; beside it stand %v", got, want, conn.Spec.Scopes)
		}
	}
}

func TestAPublicClientNeedsNoSecret(t *testing.T) {
	entry := &catalog.Entry{Spec: v1alpha1.ProviderSpec{ClientAuthentication: v1alpha1.ClientAuthenticationNone}}
	d := catalog.Draft{Entry: entry, Preset: "any", Namespace: "a", Name: "b"}
	if text := d.YAML(); strings.Contains(text, "secretRef") || strings.Contains(text, "create secret") {
		t.Error(text)
	}
}

// apply hands the text to the API server as kubectl does: unknown fields are an error.
func apply(t *testing.T, text string) *v1alpha1.OAuthConnection {
	t.Helper()
	conn := &v1alpha1.OAuthConnection{}
	if err := yaml.UnmarshalStrict([]byte(text), conn); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if err := env.Client.Create(t.Context(), conn, client.FieldValidation("Strict")); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return conn
}
