// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"

	"k8s.io/client-go/rest"
)

// OperatorConfig is the operator's: a real token of its ServiceAccount, so that RBAC applies.
func (e *Env) OperatorConfig(ctx context.Context) (*rest.Config, error) { panic("being written") }

// UserConfig is a person's: a client certificate with this name and these groups.
func (e *Env) UserConfig(name string, groups ...string) (*rest.Config, error) {
	panic("being written")
}

// WriteKubeconfig writes cfg as a kubeconfig that only its owner can read.
func WriteKubeconfig(path string, cfg *rest.Config) error { panic("being written") }
