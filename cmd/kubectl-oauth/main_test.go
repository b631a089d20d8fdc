// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// env is the API server of this package's tests.
var env *testenv.Env

// nowVariable stops the clock of a command that a script runs. The time is RFC 3339.
const nowVariable = "TEST_NOW"

// TestMain runs the tests, or, where a script calls the binary by another name, that command.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"kubectl-oauth":          plugin,
		"kubectl_complete-oauth": completer,
	})
}

// suite is the tests with an API server around them.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	return testenv.Run(s.m, testenv.Options{CRDs: true, RBAC: true, Policies: true}, func(e *testenv.Env) { env = e })
}

// plugin is the command itself, in a process of its own.
func plugin() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(run(os.Args, streams, scriptClock()))
}

func scriptClock() clock.Clock {
	if now, err := time.Parse(time.RFC3339, os.Getenv(nowVariable)); err == nil {
		return clocktesting.NewFakeClock(now.UTC())
	}
	return clock.RealClock{}
}

// completer does what the script of that name does.
func completer() {
	os.Args = append([]string{"kubectl-oauth", "__complete"}, os.Args[1:]...)
	plugin()
}
