// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operator runs the operator as the separate process that it is in a cluster, with its own
// identity, for tests, the demo and the benchmark. It runs bin/manager, or what
// OAUTH_OPERATOR_BINARY names.
package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// Options describe one process.
type Options struct {
	// Config is the identity, by convention Env.OperatorConfig.
	Config *rest.Config
	// PublicURL as browsers see it; empty: the process's own callback address.
	PublicURL string
	// CallbackAddr to listen on; empty: a free port of 127.0.0.1.
	CallbackAddr string
	// Modes are the ways in which people may connect; empty: Link.
	Modes []string
	// Args are more flags. Egress to loopback over http is on already, and the rate limit off.
	Args []string
	// Env are more variables of the environment, as NAME=value.
	Env []string
}

// Process is a running operator.
type Process struct {
	// PublicURL is what the process was told.
	PublicURL string
	// CallbackURL, MetricsURL and ProbeURL are where it listens.
	CallbackURL, MetricsURL, ProbeURL string

	cmd    *exec.Cmd
	dir    string
	log    *logBuffer
	exited chan struct{}
	err    error
}

// Start runs a process and returns at once; Ready waits for it.
func Start(o Options) (*Process, error) {
	dir, err := os.MkdirTemp("", "oauth-operator-process-")
	if err != nil {
		return nil, err
	}
	p := &Process{dir: dir, log: &logBuffer{}, exited: make(chan struct{})}
	if err := p.start(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func (p *Process) start(o Options) error {
	binary, err := binaryPath()
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(p.dir, "kubeconfig")
	if err := testenv.WriteKubeconfig(kubeconfig, o.Config); err != nil {
		return err
	}
	metrics, err := testenv.ReserveAddr(context.Background())
	if err != nil {
		return err
	}
	probe, err := testenv.ReserveAddr(context.Background())
	if err != nil {
		return err
	}
	if o.CallbackAddr == "" {
		if o.CallbackAddr, err = testenv.ReserveAddr(context.Background()); err != nil {
			return err
		}
	}
	p.CallbackURL, p.MetricsURL, p.ProbeURL = "http://"+o.CallbackAddr, "http://"+metrics+"/metrics", "http://"+probe
	p.PublicURL = o.PublicURL
	if p.PublicURL == "" {
		p.PublicURL = p.CallbackURL
	}
	if len(o.Modes) == 0 {
		o.Modes = []string{"Link"}
	}
	args := append([]string{
		"--namespace=" + testenv.OperatorNamespace,
		"--public-url=" + p.PublicURL,
		"--callback-bind-address=" + o.CallbackAddr,
		"--metrics-bind-address=" + metrics,
		"--health-probe-bind-address=" + probe,
		"--connect-mode=" + strings.Join(o.Modes, ","), "--requests-per-minute=1000000",
		"--allow-http", "--allow-cidr=127.0.0.0/8", "--allow-cidr=::1/128",
	}, o.Args...)
	// The process outlives the call; Stop and Kill end it.
	p.cmd = exec.CommandContext(context.Background(), binary, args...)
	p.cmd.Env = append(append(os.Environ(), "KUBECONFIG="+kubeconfig), o.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return nil
}

// Ready waits until the process says that it is ready.
func (p *Process) Ready(ctx context.Context) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ProbeURL+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the operator is not ready: %w\n%s", ctx.Err(), p.Log())
		case <-p.exited:
			return fmt.Errorf("the operator ended: %w\n%s", p.err, p.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop asks the process to end, waits for it and says how it ended.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return errors.Join(p.err, os.RemoveAll(p.dir))
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Kill())
	}
}

// Kill ends the process with SIGKILL, as a crash does.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.exited
	return errors.Join(err, os.RemoveAll(p.dir))
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.exited }

// Pid is the process's number, for readers of /proc.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log is what the process printed so far.
func (p *Process) Log() string { return p.log.String() }

// binaryPath finds the operator's binary as make build leaves it.
func binaryPath() (string, error) {
	if path := os.Getenv("OAUTH_OPERATOR_BINARY"); path != "" {
		return path, nil
	}
	root, err := testenv.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "manager")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the operator is not built (make build): %w", err)
	}
	return path, nil
}

// logBuffer takes output from a process while others read it.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
