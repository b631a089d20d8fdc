// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// The addresses are fixed because manifests/ names the provider's, and a person may bookmark them.
// Both variables take host:port.
const (
	providerVariable, defaultProvider = "DEMO_PROVIDER_ADDR", "127.0.0.1:18090"
	callbackVariable, defaultCallback = "DEMO_CALLBACK_ADDR", "127.0.0.1:18082"

	manifests = "hack/demo/manifests"
)

// addresses are where the provider and the operator's pages listen, as host:port.
type addresses struct{ provider, callback string }

func addressesFromEnvironment() addresses {
	a := addresses{provider: os.Getenv(providerVariable), callback: os.Getenv(callbackVariable)}
	if a.provider == "" {
		a.provider = defaultProvider
	}
	if a.callback == "" {
		a.callback = defaultCallback
	}
	return a
}

// publicURL is the operator's address as browsers see it.
func (a addresses) publicURL() string { return "http://" + a.callback }

// wayOut is what to type where an address is taken.
const wayOut = providerVariable + "=127.0.0.1:28090 " + callbackVariable + "=127.0.0.1:28082 make demo"

// free says which address is taken, and the way out.
func (a addresses) free(ctx context.Context) error {
	for _, address := range []string{a.provider, a.callback} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("%w: does another demo run? End it, or take other addresses: %s", err, wayOut)
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}

// manifests is the folder to apply: a copy in scratch where the provider's address is another.
func (a addresses) manifests(root, scratch string) (string, error) {
	if a.provider == defaultProvider {
		return manifests, nil
	}
	files, err := filepath.Glob(filepath.Join(root, manifests, "*.yaml"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		moved := strings.ReplaceAll(string(content), defaultProvider, a.provider)
		if err := os.WriteFile(filepath.Join(scratch, filepath.Base(file)), []byte(moved), 0o600); err != nil {
			return "", err
		}
	}
	return scratch, nil
}

// port is a host:port's last part.
func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }
