// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Run starts an environment, hands it to use, runs the tests of a package and stops it. For
// TestMain: os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, func(e *testenv.Env) { env = e })).
func Run(m *testing.M, o Options, use func(*Env)) int {
	e, err := Start(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(e)
	code := m.Run()
	if err := e.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Namespace makes a namespace with a random name for one test.
func (e *Env) Namespace(t testing.TB) string {
	t.Helper()
	name, err := e.CreateNamespace(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// ClientFor is live, with the identity that e.UserConfig and the like return: it takes their results.
func ClientFor(t testing.TB, config *rest.Config, err error) client.Client {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
