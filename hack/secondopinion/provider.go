// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startTimeout is long, for machines that are busy compiling.
const startTimeout = time.Minute

// ErrNotInstalled means that node or the library is missing.
var ErrNotInstalled = errors.New(`node's oidc-provider is not installed: get node 18 or later and npm, then "make second-opinion"`)

// Client is a registration in the words of RFC 7591.
type Client map[string]any

// Options describe a provider.
type Options struct {
	Clients []Client
	// Certificate and Key are the server's, as PEM, for 127.0.0.1.
	Certificate, Key []byte
	// ClientCA signs certificates of clients that use tls_client_auth; PEM.
	ClientCA []byte
	// JWKS is the JSON Web Key Set, with private keys, that signs ID tokens (RS256) and access tokens of a
	// resource (ES256).
	JWKS any
	// RequirePAR refuses authorization requests that were not pushed (RFC 9126).
	RequirePAR bool
	// AccessTokenLifetime, DeviceCodeLifetime and DeviceInterval are whole seconds; zero: an hour, ten
	// minutes and a second.
	AccessTokenLifetime, DeviceCodeLifetime, DeviceInterval time.Duration
}

// Provider is a running provider.
type Provider struct {
	// Issuer is its address; MutualIssuer that of the socket that asks for client certificates.
	Issuer, MutualIssuer string

	process *exec.Cmd
	input   io.Closer
	log     bytes.Buffer
}

// config is what server.mjs reads.
type config struct {
	Clients                            []Client `json:"clients"`
	Certificate                        string   `json:"certificate"`
	Key                                string   `json:"key"`
	ClientCA                           string   `json:"clientCA,omitempty"`
	JWKS                               any      `json:"jwks"`
	RequirePushedAuthorizationRequests bool     `json:"requirePushedAuthorizationRequests"`
	AccessTokenSeconds                 int      `json:"accessTokenSeconds"`
	DeviceCodeSeconds                  int      `json:"deviceCodeSeconds"`
	DeviceIntervalSeconds              int      `json:"deviceIntervalSeconds"`
}

func (o Options) config() config {
	return config{
		Clients: o.Clients, Certificate: string(o.Certificate), Key: string(o.Key), ClientCA: string(o.ClientCA), JWKS: o.JWKS,
		RequirePushedAuthorizationRequests: o.RequirePAR,
		AccessTokenSeconds:                 seconds(o.AccessTokenLifetime, time.Hour),
		DeviceCodeSeconds:                  seconds(o.DeviceCodeLifetime, 10*time.Minute),
		DeviceIntervalSeconds:              seconds(o.DeviceInterval, time.Second),
	}
}

func seconds(d, fallback time.Duration) int {
	if d == 0 {
		d = fallback
	}
	return int(d / time.Second)
}

// Start runs a provider from a folder, that of this package, until Stop. It returns when it answers.
func Start(dir string, o Options) (*Provider, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, ErrNotInstalled
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		return nil, ErrNotInstalled
	}
	line, err := json.Marshal(o.config())
	if err != nil {
		return nil, err
	}
	// The process outlives the call; Stop ends it.
	p := &Provider{process: exec.CommandContext(context.Background(), node, "server.mjs")}
	p.process.Dir = dir
	p.process.Stderr = &p.log
	input, err := p.process.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := p.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	p.input = input
	if _, err := input.Write(append(line, '\n')); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	if err := p.await(output); err != nil {
		log := p.stopped()
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return p, nil
}

// await reads the line that says where the provider is, among the library's own words, and leaves
// somebody who reads the rest.
func (p *Provider) await(output io.Reader) error {
	found := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			if json.Unmarshal(lines.Bytes(), p) == nil && p.Issuer != "" {
				break
			}
		}
		found <- p.Issuer != ""
		_, _ = io.Copy(io.Discard, output)
	}()
	select {
	case ok := <-found:
		if !ok {
			return errors.New("node ended before the provider was there")
		}
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("the provider did not start within %s", startTimeout)
	}
}

func (p *Provider) stopped() string {
	_ = p.Stop()
	return p.log.String()
}

// Stop ends the provider, which it says by closing its standard input.
func (p *Provider) Stop() error {
	_ = p.input.Close()
	ended := make(chan error, 1)
	go func() { ended <- p.process.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(startTimeout):
		_ = p.process.Process.Kill()
		return <-ended
	}
}

// Log is what went wrong in the provider's eyes, after Stop.
func (p *Provider) Log() string { return p.log.String() }
