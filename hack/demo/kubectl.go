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
)

// terminal runs kubectl commands exactly as a person would type them.
type terminal struct {
	story *story
	dir   string // where commands run: the root of the repository
	env   []string
}

// newTerminal uses the kubectl on PATH, else the one in bin/k8s. Its cache goes to scratch.
func newTerminal(s *story, root, kubeconfig, scratch string) (*terminal, error) {
	t := &terminal{story: s, dir: root, env: append(os.Environ(),
		"KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(scratch, "kube-cache"))}
	if _, err := exec.LookPath("kubectl"); err == nil {
		return t, nil
	}
	binaries := filepath.Join(root, "bin", "k8s")
	if _, err := os.Stat(filepath.Join(binaries, "kubectl")); err != nil {
		return nil, errors.New("there is no kubectl; build one with: make control-plane")
	}
	t.env = append(t.env, "PATH="+binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
	return t, nil
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

// execute replaces the shell by the command, so that the end of ctx reaches kubectl.
func (t *terminal) execute(ctx context.Context, command string) (output, complaint string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.dir, t.env, &stdout, &stderr
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func lastLine(text string, err error) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return err.Error()
	}
	return text[strings.LastIndex(text, "\n")+1:]
}
