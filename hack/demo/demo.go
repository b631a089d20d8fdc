// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
	"github.com/oauth-operator/oauth-operator/internal/testenv/plugin"
)

// namespace is where manifests/ puts everything, and where kubectl looks without being told.
const namespace = "default"

// demo is the stage: what the steps have started and found out so far.
type demo struct {
	story     *story
	stay      bool
	addresses addresses

	root    string // of the repository
	scratch string // for files that are gone at the end
	folder  string // of the YAML files, relative to root or absolute

	kubernetes *testenv.Env
	provider   *idp.Provider
	operator   *operator.Process
	terminal   *terminal

	connect string          // the command that connects an account to alice
	plugin  *plugin.Process // which runs it
	first   token           // the first access token, which expires while later ones are used

	cleanUps []func() error
}

// step is a numbered part of the story.
type step struct {
	title string
	run   func(*demo, context.Context) error
}

func (d *demo) steps() []step {
	prepared := []step{
		{"Start Kubernetes: etcd and kube-apiserver", (*demo).startKubernetes},
		{"Start a provider where accounts are", (*demo).startProvider},
		{"Start the operator", (*demo).startOperator},
		{"Apply YAML: a provider and two connections", (*demo).applyManifests},
	}
	if d.stay {
		return append(prepared, step{"Your turn", (*demo).leaveItToThePerson})
	}
	return append(prepared,
		step{"See what is missing", (*demo).seeWhatIsMissing},
		step{"See who may connect an account", (*demo).seeWhoMayConnect},
		step{"Connect an account", (*demo).connectAnAccount},
		step{"See the Secret that workloads mount", (*demo).seeTheSecret},
		step{"See where the refresh token is", (*demo).seeWhereTheRefreshTokenIs},
		step{"Use the token, also after two refreshes", (*demo).useTheTokenThroughTwoRefreshes},
		step{"Delete the Secret: it comes back", (*demo).deleteTheSecret},
		step{"Delete the connection: the grant is revoked", (*demo).deleteTheConnection},
		step{"Look for secrets in what was printed", (*demo).lookForSecrets},
	)
}

// play walks the steps; the first error ends the walk.
func (d *demo) play(ctx context.Context) error {
	d.story.heading("oauth-operator: from YAML and one consent to a token that is always fresh")
	if err := d.prepare(ctx); err != nil {
		return err
	}
	for _, s := range d.steps() {
		d.story.chapter(s.title)
		if err := errors.Join(s.run(d, ctx), d.story.err); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	d.sayWhatIsNext()
	return d.story.err
}

func (d *demo) sayWhatIsNext() {
	d.story.chapter("That was it")
	d.story.tell("An account was connected by YAML and one consent; its token was renewed, healed and in the end revoked. Everything that was started is being stopped and removed. Next:")
	d.story.fact("make demo-up          the same in your own browser, and it stays up")
	d.story.fact("%-21s the YAML files that were applied", manifests)
	d.story.fact("README.md             an install on a real cluster, and the first connection")
}

// alice is the connection that the story is about, as it is now.
func (d *demo) alice(ctx context.Context) (*v1alpha1.OAuthConnection, error) {
	alice := &v1alpha1.OAuthConnection{}
	return alice, d.kubernetes.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "alice"}, alice)
}

// atTheEnd registers what undoes something that was started.
func (d *demo) atTheEnd(undo func() error) { d.cleanUps = append(d.cleanUps, undo) }

// cleanUp undoes in reverse order and goes on after an error. A Ctrl-C reaches the processes as
// well: how they end does not matter then.
func (d *demo) cleanUp(interrupted bool) error {
	var failed []error
	for _, undo := range slices.Backward(d.cleanUps) {
		err := undo()
		var ended *exec.ExitError
		if interrupted && errors.As(err, &ended) {
			err = nil
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (d *demo) operatorLog() string {
	if d.operator == nil {
		return ""
	}
	return d.operator.Log()
}
