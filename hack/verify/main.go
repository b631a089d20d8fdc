// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command verify proves that what people install can be installed: the kustomize base, the samples
// and the chart render, say the same, and are taken by a real API server.
//
//	go run ./hack/verify
//
// It needs helm and kubectl on the PATH and a control plane (make -C hack/controlplane). It prints a
// line for each check and ends at the first that fails.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	err := verify(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

// verifier holds what the checks share.
type verifier struct {
	root string
	env  *testenv.Env // nil until a check needs the API server
	// kubeconfig is the administrator's.
	kubeconfig string
}

// check is one line of the output. Its detail says what was looked at.
type check struct {
	name string
	run  func(*verifier, context.Context) (detail string, err error)
}

func checks() []check {
	list := []check{
		{"the chart's files are copies of config's", (*verifier).copiesAreIdentical},
		{"helm lint", (*verifier).lint},
		{"the chart asks for what it needs", (*verifier).chartRefuses},
		{"the chart renders what config/default does", (*verifier).rendersAlike},
		{"the chart renders for another namespace", (*verifier).movesToAnotherNamespace},
		{"the chart's flags exist", (*verifier).flagsExist},
		{"an API server starts without the operator's kinds", (*verifier).startServer},
		{"CustomResourceDefinitions are established", (*verifier).installCRDs},
		{"config/default applies", applies(kustomization("config/default"))},
		{"config/prometheus renders", applies(kustomization("config/prometheus"))},
		{"config/signin applies", applies(kustomization("config/signin"))},
		{"config/samples apply", applies(kustomization("config/samples"))},
		{"the objects on the pages apply", applies((*verifier).documented)},
	}
	for _, v := range variants() {
		list = append(list, check{"the chart applies with " + v.name, applies(v.render)})
	}
	return list
}

func verify(ctx context.Context) (err error) {
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	v := &verifier{root: root}
	defer func() { err = errors.Join(err, v.stop()) }()
	for _, c := range checks() {
		started := time.Now()
		detail, err := c.run(v, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("ok  %s: %s (%.1f s)\n", c.name, detail, time.Since(started).Seconds())
	}
	return nil
}

func (v *verifier) stop() error {
	if v.env == nil {
		return nil
	}
	return errors.Join(v.env.Stop(), os.RemoveAll(filepath.Dir(v.kubeconfig)))
}

// command runs a program at the root of the repository. What it prints on standard error is part of
// its error.
func (v *verifier) command(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = v.root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+v.kubeconfig)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), complaint.Bytes())
	}
	return out.Bytes(), nil
}
