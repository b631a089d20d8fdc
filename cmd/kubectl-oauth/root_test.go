// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// execute runs a command line in this process.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	code = run(args, streams, clocktesting.NewFakeClock(noon()))
	return code, out.String(), errOut.String()
}

func TestEveryVerbHasAnExampleAndSaysWhatItDoes(t *testing.T) {
	streams := genericiooptions.NewTestIOStreamsDiscard()
	root := newRootCommand(newApp("kubectl-oauth", streams, clocktesting.NewFakeClock(noon())))
	for _, verb := range root.Commands() {
		if verb.Example == "" || verb.Short == "" || verb.Long == "" {
			t.Errorf("%s lacks an example or a text", verb.Name())
		}
		if !strings.Contains(verb.Example, "kubectl oauth "+verb.Name()) {
			t.Errorf("the example of %s does not show it", verb.Name())
		}
	}
}

func TestEveryVerbCompletesItsArguments(t *testing.T) {
	streams := genericiooptions.NewTestIOStreamsDiscard()
	a := newApp("kubectl-oauth", streams, clocktesting.NewFakeClock(noon()))
	for _, newVerb := range verbs() {
		verb := newVerb(a)
		takesNames := strings.Contains(verb.Use, " ")
		if takesNames && verb.ValidArgsFunction == nil {
			t.Errorf("%s completes nothing", verb.Name())
		}
	}
}

func TestTheProgramIsCalledAsPeopleCallIt(t *testing.T) {
	for program, want := range map[string]string{
		"kubectl-oauth":                   "kubectl oauth",
		"/home/jane/.krew/kubectl-oauth":  "kubectl oauth",
		"kubectl-oauth.exe":               "kubectl oauth",
		filepath.Join("bin", "oauth-cli"): "oauth-cli",
	} {
		code, out, _ := execute(t, program, "status", "--help")
		if code != 0 || !strings.Contains(out, "\n  "+want+" status github\n") || !strings.Contains(out, "Usage:\n  "+want+" status [NAME]") {
			t.Errorf("%s: exit code %d:\n%s", program, code, out)
		}
	}
}

func TestTheVersionIsPrinted(t *testing.T) {
	code, out, _ := execute(t, "kubectl-oauth", "--version")
	if code != 0 || !strings.HasPrefix(out, "kubectl oauth version ") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestWithoutTheKindsTheOperatorIsSaidToBeMissing(t *testing.T) {
	bare, err := testenv.Start(t.Context(), testenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testenv.WriteKubeconfig(kubeconfig, bare.Config); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"status", "github"}, {"status", "-w"}, {"refresh", "github"}, {"token", "github"}} {
		code, out, stderr := execute(t, append([]string{"kubectl-oauth", "--kubeconfig", kubeconfig}, args...)...)
		if code != exitFailed || out != "" || !strings.HasPrefix(stderr, "error: oauth-operator is not installed in this cluster, or is too old: ") {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, stderr)
		}
	}
}
