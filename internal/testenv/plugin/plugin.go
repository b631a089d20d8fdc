// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin runs kubectl oauth as the process that it is, as a person in a terminal would, for
// tests and the demo.
package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// Command is bin/kubectl-oauth with a kubeconfig. It is not started yet.
func Command(kubeconfig string, args ...string) (*exec.Cmd, error) {
	root, err := testenv.Root()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(root, "bin", "kubectl-oauth")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("kubectl oauth is not built (make build): %w", err)
	}
	cmd := exec.CommandContext(context.Background(), path, args...) // Signal ends it
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	return cmd, nil
}

// Process is a running command.
type Process struct {
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
}

// Start runs a command and keeps what it prints on both streams.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, output: &output{more: make(chan struct{})}, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // Wait tells
		close(p.exited)
	}()
	return p, nil
}

var printedAddress = regexp.MustCompile(`(?m)^\s+(https?://\S+)\n`)

// Address waits for the address that a person has to open.
func (p *Process) Address(ctx context.Context) (string, error) {
	match, err := p.await(ctx, printedAddress)
	if err != nil {
		return "", fmt.Errorf("kubectl oauth prints no address: %w", err)
	}
	return match[1], nil
}

// Printed is the address, empty where none was printed yet.
func (p *Process) Printed() string {
	if match := printedAddress.FindStringSubmatch(p.Output()); match != nil {
		return match[1]
	}
	return ""
}

// Says waits until a text was printed.
func (p *Process) Says(ctx context.Context, text string) error {
	_, err := p.await(ctx, regexp.MustCompile(regexp.QuoteMeta(text)))
	return err
}

func (p *Process) await(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for {
		text, more := p.output.read()
		if match := pattern.FindStringSubmatch(text); match != nil {
			return match, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; it printed:\n%s", ctx.Err(), text)
		case <-p.exited:
			text, _ = p.output.read()
			if match := pattern.FindStringSubmatch(text); match != nil {
				return match, nil
			}
			return nil, errors.New("it ended, and printed:\n" + text)
		}
	}
}

// Signal sends one.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Wait returns the exit code, -1 where a signal ended the process.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		text, _ := p.output.read()
		return 0, fmt.Errorf("kubectl oauth does not end: %w; it printed:\n%s", ctx.Err(), text)
	}
}

// Kill ends the process if it still runs, so that no test leaves one behind.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it has ended where that fails
	<-p.exited
}

// Output is what was printed so far.
func (p *Process) Output() string {
	text, _ := p.output.read()
	return text
}

// output takes what a process prints while others wait for more of it.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	more   chan struct{} // closed by the next write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buffer.Write(b)
}

func (o *output) read() (text string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String(), o.more
}
