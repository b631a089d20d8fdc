// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv runs a real kube-apiserver and etcd for tests, the demo and the benchmark.
//
// The binaries come from bin/k8s at the root of the repository, or from KUBEBUILDER_ASSETS where
// that is set. Nothing but the API server runs: no controller manager, so that garbage collection
// and default ServiceAccounts do not happen by themselves.
package testenv

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The operator's identity in every environment, as the manifests of config/rbac have it.
const (
	OperatorNamespace      = "oauth-operator"
	OperatorServiceAccount = "oauth-operator"
)

// Options say what an environment holds besides a bare API server.
type Options struct {
	// CRDs installs config/crd/bases.
	CRDs bool
	// RBAC applies config/rbac, so that OperatorConfig may do what an installed operator may.
	RBAC bool
	// AuditLog records the metadata of every request, for AuditEvents and MutatingRequests.
	AuditLog bool
	// Dir keeps the state of etcd and the API server there; empty: a temporary folder.
	Dir string
}

// Env is a running API server.
type Env struct {
	// Config is the administrator's, without client-side rate limits.
	Config *rest.Config
	// Client is the administrator's, live, for every kind of Scheme.
	Client client.Client
}

// Start runs etcd and the API server until Stop. It returns when both answer.
func Start(ctx context.Context, o Options) (*Env, error) { panic("being written") }

// Stop ends both processes and removes what they kept.
func (e *Env) Stop() error { panic("being written") }

// Scheme knows Kubernetes' own kinds, CustomResourceDefinitions and the operator's kinds.
func Scheme() *runtime.Scheme { panic("being written") }

// StopAPIServer ends the API server; etcd keeps its data and Config stays valid for StartAPIServer.
func (e *Env) StopAPIServer() error { panic("being written") }

// StartAPIServer starts it again at the same address and returns when it answers.
func (e *Env) StartAPIServer(ctx context.Context) error { panic("being written") }

// CreateNamespace makes a namespace with a random name.
func (e *Env) CreateNamespace(ctx context.Context, labels map[string]string) (string, error) {
	panic("being written")
}
