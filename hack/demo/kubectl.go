// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/plugin"
)

// terminal runs kubectl commands exactly as a person would type them.
type terminal struct {
	story *story
	dir   string // where commands run: the root of the repository
	env   []string
}

// newTerminal finds kubectl oauth in bin, where kubectl looks for its plugins because it is on PATH, and
// kubectl on PATH, else in bin/k8s. Its cache goes to scratch.
func newTerminal(s *story, root, kubeconfig, scratch string) (*terminal, error) {
	bin := filepath.Join(root, "bin")
	if _, err := os.Stat(filepath.Join(bin, "kubectl-oauth")); err != nil {
		return nil, errors.New("there is no kubectl oauth; build it with: make build")
	}
	path := []string{bin, os.Getenv("PATH")}
	if _, err := exec.LookPath("kubectl"); err != nil {
		path = []string{bin, filepath.Join(bin, "k8s"), os.Getenv("PATH")}
		if _, err := os.Stat(filepath.Join(bin, "k8s", "kubectl")); err != nil {
			return nil, errors.New("there is no kubectl; build one with: make control-plane")
		}
	}
	return &terminal{story: s, dir: root, env: append(os.Environ(), "KUBECONFIG="+kubeconfig,
		"KUBECACHEDIR="+filepath.Join(scratch, "kube-cache"), "PATH="+strings.Join(path, string(os.PathListSeparator)))}, nil
}

// show runs a command and prints both the command and its output.
func (t *terminal) show(ctx context.Context, command string) error {
	output, err := t.ask(ctx, command)
	t.story.output(output)
	return err
}

// ask runs a command and prints only the command: the output is for the caller to describe.
func (t *terminal) ask(ctx context.Context, command string) (string, error) {
	t.story.command(command)
	output, complaint, err := t.execute(ctx, command)
	if err != nil {
		return output, fmt.Errorf("%s: %s", command, lastLine(complaint, err))
	}
	return output, nil
}

// showRefusal runs a command that has to fail, and prints why it did.
func (t *terminal) showRefusal(ctx context.Context, command string) error {
	t.story.command(command)
	output, complaint, err := t.execute(ctx, command)
	if err == nil {
		return fmt.Errorf("%s: worked, but should not", command)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.story.output(output + complaint)
	return nil
}

// start prints a command and leaves it running.
func (t *terminal) start(ctx context.Context, command string) (*plugin.Process, error) {
	t.story.command(command)
	return plugin.Start(t.shell(ctx, command))
}

func (t *terminal) execute(ctx context.Context, command string) (output, complaint string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := t.shell(ctx, command)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// shell replaces itself by the command, so that the end of ctx reaches kubectl.
func (t *terminal) shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env, cmd.WaitDelay = t.dir, t.env, time.Second
	return cmd
}

func lastLine(text string, err error) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return err.Error()
	}
	return text[strings.LastIndex(text, "\n")+1:]
}
