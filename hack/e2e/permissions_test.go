// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// nothingForbiddenWasAsked fails when config/rbac or config/signin lacks a permission.
func (e *evidence) nothingForbiddenWasAsked(t *testing.T) {
	if len(e.asked) == 0 {
		t.Skip("no story was told")
	}
	for r, n := range e.asked {
		if r.status == http.StatusForbidden || r.status == http.StatusUnauthorized {
			t.Errorf("refused with status %d, %d times: %s", r.status, n, r)
		}
	}
}

// right is a verb on a resource by one of the operator's roles.
type right struct{ role, verb, group, resource string }

func (r right) String() string {
	return fmt.Sprintf("%s: %s %s", r.role, r.verb, strings.Trim(r.resource+"."+r.group, "."))
}

func (r request) String() string {
	return fmt.Sprintf("%s %s in %q", r.verb, strings.Trim(r.resource+"."+r.group, "."), r.namespace)
}

// unseen are the rights that no request of a test shows, each with its reason.
func unseen() map[right]string {
	const operators = "oauth-operator.dev"
	return map[right]string{
		{"ClusterRole oauth-operator", "update", operators, "oauthconnections/finalizers"}: "asked by an " +
			"admission plugin about owner references (OwnerReferencesPermissionEnforcement), never requested",
		{"ClusterRole oauth-operator", "delete", operators, "oauthauthorizations"}: "comes ten minutes after " +
			"an attempt began",
	}
}

// noRightWasLeftUnused fails when config/rbac or config/signin grants what nobody needs.
func (e *evidence) noRightWasLeftUnused(t *testing.T) {
	if !e.complete {
		t.Skip("needs the story EveryRightIsUsed")
	}
	reasons := unseen()
	for _, r := range granted(t) {
		used := slices.ContainsFunc(slices.Collect(maps.Keys(e.asked)), r.covers)
		_, excepted := reasons[r]
		switch {
		case used && excepted:
			t.Errorf("used after all, so no exception: %s", r)
		case !used && !excepted:
			t.Errorf("granted and never used: %s", r)
		}
		delete(reasons, r)
	}
	for r := range reasons {
		t.Errorf("an exception for what is not granted: %s", r)
	}
}

// covers says whether a request shows the use of a right: a Role's in the operator's namespace, a
// ClusterRole's elsewhere.
func (r right) covers(asked request) bool {
	own := strings.HasPrefix(r.role, "Role ") == (asked.namespace == testenv.OperatorNamespace)
	return own && asked.verb == r.verb && asked.group == r.group && asked.resource == r.resource
}

// granted are the rights of the roles in config/rbac and config/signin that are bound there: the others
// are for people.
func granted(t *testing.T) []right {
	t.Helper()
	roles, bound := map[string][]rbacv1.PolicyRule{}, map[string]bool{}
	for _, document := range append(manifests(t, "config/rbac"), manifests(t, "config/signin")...) {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Rules    []rbacv1.PolicyRule
			RoleRef  rbacv1.RoleRef
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		switch object.Kind {
		case "Role", "ClusterRole":
			roles[object.Kind+" "+object.Metadata.Name] = object.Rules
		case "RoleBinding", "ClusterRoleBinding":
			bound[object.RoleRef.Kind+" "+object.RoleRef.Name] = true
		}
	}
	var rights []right
	for role := range bound {
		for _, rule := range roles[role] {
			rights = append(rights, expand(role, rule)...)
		}
	}
	if len(rights) == 0 {
		t.Fatal("config/rbac binds no role")
	}
	return rights
}

func expand(role string, rule rbacv1.PolicyRule) []right {
	var rights []right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				rights = append(rights, right{role, verb, group, resource})
			}
		}
	}
	return rights
}

// manifests are the documents of a folder of the repository.
func manifests(t *testing.T, folder string) [][]byte {
	t.Helper()
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var documents [][]byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, bytes.Split(content, []byte("\n---\n"))...)
	}
	return documents
}
