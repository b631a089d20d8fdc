// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv runs a real kube-apiserver and etcd for tests, the demo and the benchmark.
//
// The binaries come from bin/k8s at the root of the repository, or from KUBEBUILDER_ASSETS where
// that is set. Nothing but the API server runs. Without controller manager there is no garbage
// collection, a deleted namespace stays Terminating, and the rules of aggregated ClusterRoles
// (view, edit, admin) are not filled in: bind oauth-operator-edit and the like by name.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// The operator's identity in every environment, as the manifests of config/rbac have it.
const (
	OperatorNamespace      = "oauth-operator"
	OperatorServiceAccount = "oauth-operator"
)

// processTimeout bounds the start and the stop of a process: long, for machines that are busy
// compiling.
const processTimeout = 2 * time.Minute

// Options say what an environment holds besides a bare API server.
type Options struct {
	// CRDs installs config/crd/bases.
	CRDs bool
	// RBAC applies config/rbac, so that OperatorConfig may do what an installed operator may.
	RBAC bool
	// Policies applies those of config/policy that tests live with: all but https_endpoints.yaml, which
	// refuses providers on the same machine. It needs CRDs.
	Policies bool
	// AuditLog records the metadata of every request, for AuditEvents and MutatingRequests.
	AuditLog bool
}

// Env is a running API server.
type Env struct {
	// Config is the administrator's, without client-side rate limits.
	Config *rest.Config
	// Client is the administrator's, live, for every kind of Scheme.
	Client client.Client

	plane   *envtest.Environment
	root    string // of the repository
	scratch string // certificates, etcd's data and the audit log
	audited bool
	users   sync.Mutex // envtest's certificate authority is not safe for parallel use
}

// Start runs etcd and the API server until Stop. It returns when both answer.
func Start(ctx context.Context, o Options) (*Env, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "oauth-operator-testenv-")
	if err != nil {
		return nil, err
	}
	e := &Env{root: root, scratch: scratch, audited: o.AuditLog}
	if err := e.start(ctx, o); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Env) start(ctx context.Context, o Options) error {
	if err := e.configure(o); err != nil {
		return err
	}
	config, err := e.plane.Start()
	if err != nil {
		return fmt.Errorf("starting the control plane (is it built? make -C hack/controlplane): %w", err)
	}
	e.Config = rest.CopyConfig(config)
	e.Config.QPS = -1
	if e.Client, err = client.New(e.Config, client.Options{Scheme: e.plane.Scheme}); err != nil {
		return err
	}
	if err := e.createOperator(ctx); err != nil {
		return err
	}
	if o.RBAC {
		if err := e.applyRBAC(ctx); err != nil {
			return err
		}
	}
	if o.Policies {
		return e.applyPolicies(ctx)
	}
	return nil
}

// configure gives both processes folders of our own: envtest would delete its own ones, with the
// certificates in them, when the API server stops for an outage.
func (e *Env) configure(o Options) error {
	e.plane = &envtest.Environment{
		Scheme:                   Scheme(),
		BinaryAssetsDirectory:    filepath.Join(e.root, "bin", "k8s"),
		ControlPlaneStartTimeout: processTimeout,
		ControlPlaneStopTimeout:  processTimeout,
	}
	if o.CRDs {
		e.plane.CRDDirectoryPaths = []string{filepath.Join(e.root, "config", "crd", "bases")}
		e.plane.ErrorIfCRDPathMissing = true
		e.plane.CRDInstallOptions.MaxTime = processTimeout
	}
	server := e.plane.ControlPlane.GetAPIServer()
	server.CertDir = filepath.Join(e.scratch, "apiserver")
	// Without it a stopping API server waits a minute for watches to end.
	server.Configure().Set("shutdown-watch-termination-grace-period", "1s")
	e.plane.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(e.scratch, "etcd")}
	e.plane.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	for _, dir := range []string{server.CertDir, e.plane.ControlPlane.Etcd.DataDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if o.AuditLog {
		return e.configureAudit(server.Configure())
	}
	return nil
}

func (e *Env) createOperator(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: OperatorServiceAccount, Namespace: OperatorNamespace}
	return errors.Join(
		e.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: OperatorNamespace}}),
		e.Client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}))
}

// applyRBAC waits for the API server's authorizer, which learns of roles a moment after they are
// stored.
func (e *Env) applyRBAC(ctx context.Context) error {
	if err := e.Apply(ctx, "config/rbac"); err != nil {
		return err
	}
	rights := []authorizationv1.ResourceAttributes{
		{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "oauthconnections"},
		{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: OperatorNamespace},
	}
	allowed := func(ctx context.Context) (bool, error) {
		for _, right := range rights {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: OperatorUser, ResourceAttributes: &right,
			}}
			if err := e.Client.Create(ctx, review); err != nil || !review.Status.Allowed {
				return false, err
			}
		}
		return true, nil
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, processTimeout, true, allowed)
}

// applyPolicies waits for the API server, which minds policies about a second after they are stored,
// in the order in which they were: the last is tried.
func (e *Env) applyPolicies(ctx context.Context) error {
	for _, file := range []string{"references.yaml", "requester.yaml"} {
		if err := e.Apply(ctx, filepath.Join("config", "policy", file)); err != nil {
			return err
		}
	}
	refused := func(ctx context.Context) (bool, error) {
		attempt := &v1alpha1.OAuthAuthorization{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Namespace: OperatorNamespace},
			Spec: v1alpha1.OAuthAuthorizationSpec{
				Connection: "probe", Requester: "somebody else", Method: v1alpha1.PairingCode,
			},
		}
		err := e.Client.Create(ctx, attempt, client.DryRunAll)
		if apierrors.IsForbidden(err) {
			return true, nil
		}
		return false, err
	}
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, processTimeout, true, refused)
}

// Stop ends both processes and removes what they kept.
func (e *Env) Stop() error {
	var err error
	if e.plane != nil {
		err = e.plane.Stop()
	}
	return errors.Join(err, os.RemoveAll(e.scratch))
}

// Scheme knows Kubernetes' own kinds, CustomResourceDefinitions and the operator's kinds.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// StopAPIServer ends the API server; etcd keeps its data and Config stays valid for StartAPIServer.
func (e *Env) StopAPIServer() error { return e.plane.ControlPlane.GetAPIServer().Stop() }

// StartAPIServer starts it again at the same address and returns when it answers.
func (e *Env) StartAPIServer() error { return e.plane.ControlPlane.GetAPIServer().Start() }

// CreateNamespace makes a namespace with a random name.
func (e *Env) CreateNamespace(ctx context.Context, labels map[string]string) (string, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	err := e.Client.Create(ctx, namespace)
	return namespace.Name, err
}
