// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	chart     = "charts/oauth-operator"
	namespace = "oauth-operator"
	publicURL = "publicURL=https://oauth.example.com" // as in config/manager
)

// copied are the folders of the chart's files, and where each file comes from. What else is in those
// folders of config is made by the chart's templates.
func copied() map[string]string {
	return map[string]string{
		"crds":       "config/crd/bases",
		"policy":     "config/policy",
		"prometheus": "config/prometheus",
		"rbac":       "config/rbac",
		"signin":     "config/signin",
	}
}

// templated are config's files of those folders that the chart does not copy.
func templated() []string {
	return []string{"kustomization.yaml", "bindings.yaml", "binding.yaml", "service_account.yaml"}
}

func (v *verifier) copiesAreIdentical(context.Context) (string, error) {
	count := 0
	for folder, source := range copied() {
		names, err := yamlFiles(filepath.Join(v.root, source))
		if err != nil {
			return "", err
		}
		copies, err := yamlFiles(filepath.Join(v.root, chart, "files", folder))
		if err != nil {
			return "", err
		}
		if diff := cmp.Diff(without(names, templated()), copies); diff != "" {
			return "", fmt.Errorf("files of %s (-) and of the chart's files/%s (+):\n%s", source, folder, diff)
		}
		for _, name := range copies {
			count++
			if err := v.sameBytes(filepath.Join(source, name), filepath.Join(chart, "files", folder, name)); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%d files", count), nil
}

func (v *verifier) sameBytes(original, duplicate string) error {
	a, err := os.ReadFile(filepath.Join(v.root, original))
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(v.root, duplicate))
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("%s differs: cp %s %s", duplicate, original, duplicate)
	}
	return nil
}

func (v *verifier) lint(ctx context.Context) (string, error) {
	if _, err := v.command(ctx, nil, "helm", "lint", "--strict", chart, "--set", publicURL); err != nil {
		return "", err
	}
	return chart, nil
}

// refusal is a mistake in the values and the word that has to be in helm's answer.
type refusal struct {
	values []string
	word   string
}

func refusals() []refusal {
	return []refusal{
		{[]string{"callback.ingress.enabled=true"}, "publicURL is needed"},
		{[]string{"signIn.issuer=https://login.example.com", "signIn.clientID=abc"}, "publicURL is needed"},
		{[]string{publicURL, "signIn.issuer=https://login.example.com"}, "signIn.clientID is needed"},
		{[]string{publicURL, "signIn.issuer=login.example.com"}, "issuer"},
		{[]string{"publicURL=oauth.example.com"}, "publicURL"},
		{[]string{publicURL, "replica=3"}, "replica"},
		{[]string{publicURL, "connectModes={Magic}"}, "connectModes"},
		{[]string{publicURL, "callback.httpRoute.enabled=true"}, "parentRefs is needed"},
	}
}

func (v *verifier) chartRefuses(ctx context.Context) (string, error) {
	for _, r := range refusals() {
		_, err := v.helm(ctx, r.values...)
		if err == nil {
			return "", fmt.Errorf("values %q are taken", r.values)
		}
		if !strings.Contains(err.Error(), r.word) {
			return "", fmt.Errorf("values %q are refused without %q: %w", r.values, r.word, err)
		}
	}
	return fmt.Sprintf("%d mistakes are refused", len(refusals())), nil
}

// helm renders the chart for the namespace that config/default has.
func (v *verifier) helm(ctx context.Context, values ...string) ([]byte, error) {
	return v.helmIn(ctx, namespace, values...)
}

// helmIn renders the chart for a namespace.
func (v *verifier) helmIn(ctx context.Context, namespace string, values ...string) ([]byte, error) {
	args := []string{"template", "oauth-operator", chart, "--namespace", namespace}
	for _, value := range values {
		args = append(args, "--set", value)
	}
	return v.command(ctx, nil, "helm", args...)
}

func (v *verifier) rendersAlike(ctx context.Context) (string, error) {
	rendered, err := v.command(ctx, nil, "kubectl", "kustomize", "config/default")
	if err != nil {
		return "", err
	}
	base, err := parse(rendered)
	if err != nil {
		return "", err
	}
	if rendered, err = v.helm(ctx, publicURL); err != nil {
		return "", err
	}
	release, err := parse(rendered)
	if err != nil {
		return "", err
	}
	want, got := byIdentity(base), byIdentity(release)
	if err := settleDifferences(want, got); err != nil {
		return "", err
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "", fmt.Errorf("config/default (-) and the chart (+):\n%s", diff)
	}
	return fmt.Sprintf("%d objects, apart from the Namespace, the test Pod and helm's keep annotation", len(want)), nil
}

// settleDifferences takes out what is meant to differ. Each has to be there: a difference that went
// away leaves this list as well.
func settleDifferences(base, release map[string]map[string]any) error {
	// Helm makes the namespace itself, by --create-namespace.
	if !drop(base, "Namespace//oauth-operator") {
		return errors.New("config/default has no Namespace any more")
	}
	// helm test has no counterpart in kustomize.
	if !drop(release, "Pod/oauth-operator/oauth-operator-test") {
		return errors.New("the chart has no test Pod any more")
	}
	// helm uninstall leaves the CRDs, and so all connections; kubectl delete -k does what it says.
	for id, object := range release {
		if !strings.HasPrefix(id, "CustomResourceDefinition/") {
			continue
		}
		crd := &unstructured.Unstructured{Object: object}
		annotations := crd.GetAnnotations()
		if annotations["helm.sh/resource-policy"] != "keep" {
			return fmt.Errorf("the chart does not keep %s", id)
		}
		delete(annotations, "helm.sh/resource-policy")
		crd.SetAnnotations(annotations)
	}
	return nil
}

// movesToAnotherNamespace looks for what the chart copies from config and has to rewrite: CEL
// expressions that name the operator's namespace and ServiceAccount.
func (v *verifier) movesToAnotherNamespace(ctx context.Context) (string, error) {
	const elsewhere = "elsewhere"
	rendered, err := v.helmIn(ctx, elsewhere, publicURL)
	if err != nil {
		return "", err
	}
	for _, form := range []string{"'%s'", "system:serviceaccount:%s:oauth-operator", "namespace: %s"} {
		if left := fmt.Sprintf(form, namespace); bytes.Contains(rendered, []byte(left)) {
			return "", fmt.Errorf("a release in namespace %s has %s", elsewhere, left)
		}
		if moved := fmt.Sprintf(form, elsewhere); !bytes.Contains(rendered, []byte(moved)) {
			return "", fmt.Errorf("a release in namespace %s does not have %s", elsewhere, moved)
		}
	}
	return elsewhere, nil
}

// flagsExist compares with the documentation, which is held to the operator by a test of its own.
func (v *verifier) flagsExist(ctx context.Context) (string, error) {
	page, err := os.ReadFile(filepath.Join(v.root, "docs", "operations.md"))
	if err != nil {
		return "", err
	}
	flags := map[string]bool{}
	for _, variant := range variants() {
		rendered, err := variant.render(v, ctx)
		if err != nil {
			return "", err
		}
		for _, match := range regexp.MustCompile(`(?m)^ +- "?(--[a-z-]+)`).FindAllSubmatch(rendered, -1) {
			flags[string(match[1])] = true
		}
	}
	for flag := range flags {
		if !bytes.Contains(page, []byte("| `"+flag+"` |")) {
			return "", fmt.Errorf("the chart renders %s, which docs/operations.md does not have", flag)
		}
	}
	return fmt.Sprintf("%d flags", len(flags)), nil
}

func drop(objects map[string]map[string]any, id string) bool {
	_, ok := objects[id]
	delete(objects, id)
	return ok
}
