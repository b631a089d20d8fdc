// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

func at(hours float64) *metav1.Time {
	return &metav1.Time{Time: noon().Add(time.Duration(hours * float64(time.Hour)))}
}

// held is a connection whose token was obtained and expires at these hours from now.
func held(obtained, expires float64) *v1alpha1.OAuthConnection {
	conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "github", CreationTimestamp: *at(-72)}}
	conn.Status.LastRefreshTime, conn.Status.ExpiresAt = at(obtained), at(expires)
	conn.Status.Account, conn.Status.Provider = "octocat", "GitHub"
	return conn
}

func TestTheBarShowsNowAndTheNextRefresh(t *testing.T) {
	for _, test := range []struct {
		name              string
		obtained, expires float64
		refresh           *metav1.Time
		want              string
	}{
		{"just obtained", 0, 8, at(6), "[>.....................|.......]"},
		{"half of its life", -4, 4, at(2), "[===============>......|.......]"},
		{"shortly before its end", -7.99, 0.01, nil, "[=============================>]"},
		{"expired", -8, -1, at(-2), "[==============================]"},
		{"a clock that is behind", 1, 8, at(6), "[>....................|........]"},
		{"no life at all", 0, 0, nil, "[==============================]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := held(test.obtained, test.expires)
			conn.Status.RefreshAt = test.refresh
			s := screen{conn: conn, now: noon()}
			if got := s.bar(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestColoursChangeNoLetterAndNoColumn(t *testing.T) {
	colours := regexp.MustCompile(`\x1b\[[0-9]+m`)
	items := []v1alpha1.OAuthConnection{*held(-4, 4), *held(-9, -1), *held(0, 1)}
	for i, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
		items[i].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: status, Reason: "Any"}}
	}
	show := func(p paint) string {
		var out strings.Builder
		if err := (table{now: noon(), paint: p, wide: true}).print(&out, items); err != nil {
			t.Fatal(err)
		}
		for i := range items {
			s := screen{conn: &items[i], now: noon(), paint: p, command: func(string, ...string) string { return "" }}
			if err := s.print(&out); err != nil {
				t.Fatal(err)
			}
		}
		return out.String()
	}
	coloured := show(paint{on: true})
	for _, want := range []string{green + "True", red + "False", yellow + "Unknown", red + "!!", red + "expired"} {
		if !strings.Contains(coloured, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if diff := cmp.Diff(show(paint{}), colours.ReplaceAllString(coloured, "")); diff != "" {
		t.Error(diff)
	}
}

func TestATableOfNamespacesSaysWhatIsUsable(t *testing.T) {
	ready := *held(-4, 4)
	ready.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: "Ready", Message: "all is well"}}
	ready.Status.Scopes = []string{"repo", "read:org"}
	ready.Status.Binding = &v1alpha1.Binding{Name: "github-token"}
	fresh := v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "new", CreationTimestamp: *at(-0.1)}}
	var out strings.Builder
	if err := (table{now: noon(), namespaces: true, wide: true}).print(&out, []v1alpha1.OAuthConnection{ready, fresh}); err != nil {
		t.Fatal(err)
	}
	want := `NAMESPACE   NAME     READY     REASON   PROVIDER   ACCOUNT   EXPIRES   REFRESH   AGE   SECRET         SCOPES          MESSAGE
team-a      github   True      Ready    GitHub     octocat   in 4h     -         3d    github-token   repo,read:org   all is well
team-b      new      Unknown   -        -          -         -         -         6m    -              -               -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAWatchedScreenFollowsTheConnectionUntilCtrlC(t *testing.T) {
	namespace := env.Namespace(t)
	conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "github"}}
	conn.Spec.Provider = &v1alpha1.ProviderSpec{Preset: "github"}
	conn.Spec.Client = &v1alpha1.ClientSpec{ID: "any"}
	if err := env.Client.Create(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := testenv.WriteKubeconfig(kubeconfig, env.Config); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "kubectl-oauth", "status", "github", "--watch", "-n", namespace, "--kubeconfig", kubeconfig)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	await := func(text string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the output ended before %q", text)
	}
	await("nobody has connected it")
	conn.Status.Account = "octocat"
	if err := env.Client.Status().Update(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	await("octocat")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _ = command.Wait(); command.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("the exit code is %d", command.ProcessState.ExitCode())
	}
}

func TestAStoppedOperatorsReadyIsNotTheLastWord(t *testing.T) {
	conn := held(-2, -1)
	conn.Status.RefreshAt = at(-1.5)
	conn.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}}
	s := screen{command: (&app{name: "kubectl oauth"}).command, conn: conn, now: noon()}
	if s.next(); s.out.String() != "\nNext: kubectl oauth doctor github -n team-a\n" {
		t.Errorf("got %q", s.out.String())
	}
}
