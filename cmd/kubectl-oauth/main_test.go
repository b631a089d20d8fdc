// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	options := testenv.Options{CRDs: true, RBAC: true, Policies: true}
	os.Exit(testenv.Run(m, options, func(e *testenv.Env) { env = e }))
}
