// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/testenv/operator"
)

const (
	// tokenLifetime is short, so that refreshes can be watched: half of it goes by between two.
	tokenLifetime = 24 * time.Second
	// startTimeout bounds the operator's start, stopTimeout its end.
	startTimeout, stopTimeout = time.Minute, 20 * time.Second
)

// prepare finds out early what would make a later step fail.
func (d *demo) prepare(ctx context.Context) error {
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	d.root = root
	if err := d.addresses.free(ctx); err != nil {
		return err
	}
	if d.scratch, err = os.MkdirTemp("", "oauth-operator-demo-"); err != nil {
		return err
	}
	d.atTheEnd(func() error { return os.RemoveAll(d.scratch) })
	d.terminal, err = newTerminal(d.story, d.root, d.kubeconfig(), d.scratch)
	return err
}

// kubeconfig is where a person finds it while the demo stays up, and out of sight otherwise.
func (d *demo) kubeconfig() string {
	if d.stay {
		return filepath.Join(d.root, "bin", "demo.kubeconfig")
	}
	return filepath.Join(d.scratch, "kubeconfig")
}

func (d *demo) startKubernetes(ctx context.Context) (err error) {
	d.story.tell("A real API server in a temporary folder, which kubectl uses from here on. The operator's kinds (config/crd), roles (config/rbac) and admission policies (config/policy) are installed:")
	if d.kubernetes, err = testenv.Start(ctx, testenv.Options{CRDs: true, RBAC: true, Policies: true}); err != nil {
		return err
	}
	d.atTheEnd(d.kubernetes.Stop)
	d.atTheEnd(func() error { return removeIfThere(d.kubeconfig()) })
	if err := testenv.WriteKubeconfig(d.kubeconfig(), d.kubernetes.Config); err != nil {
		return err
	}
	for user, role := range map[string]testenv.Role{"alice": testenv.Edit, "victor": testenv.View} {
		if err := d.addPerson(ctx, user, role); err != nil {
			return err
		}
	}
	return d.terminal.show(ctx, "kubectl api-resources --api-group=oauth-operator.dev")
}

// addPerson adds a context for somebody who has a role in the namespace.
func (d *demo) addPerson(ctx context.Context, name string, role testenv.Role) error {
	person, err := d.kubernetes.Person(ctx, name, role, namespace)
	if err != nil {
		return err
	}
	kubeconfig, err := clientcmd.LoadFromFile(d.kubeconfig())
	if err != nil {
		return err
	}
	cluster := kubeconfig.Contexts[kubeconfig.CurrentContext].Cluster
	kubeconfig.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: person.CertData, ClientKeyData: person.KeyData}
	kubeconfig.Contexts[name] = &api.Context{Cluster: cluster, AuthInfo: name}
	return clientcmd.WriteToFile(*kubeconfig, d.kubeconfig())
}

// startProvider registers the clients of manifests/.
func (d *demo) startProvider(context.Context) (err error) {
	d.provider, err = idp.New(idp.Options{
		Addr:                d.addresses.provider,
		AccessTokenLifetime: tokenLifetime,
		Rotation:            true,
		ReuseDetection:      true,
		RequirePKCE:         true,
		Users:               []idp.User{person()},
		Clients:             registrations(d.addresses.publicURL()),
	})
	if err != nil {
		return err
	}
	d.atTheEnd(func() error { d.provider.Close(); return nil })
	d.story.tell("An OpenID provider at %s with a login page. Its access tokens live %d seconds only. Its refresh tokens can be used once: one that comes back a second time ends the grant, as at strict providers.",
		d.provider.Issuer(), int(tokenLifetime.Seconds()))
	return nil
}

// person is who consents.
func person() idp.User {
	return idp.User{Name: "alice", Password: "wonderland", Email: "alice@example.com"}
}

func registrations(publicURL string) []idp.Client {
	return []idp.Client{
		{ID: "web-app", Secret: "web-app-demo-secret", RedirectURIs: []string{publicURL + "/callback/ns/default/alice"},
			Grants: []string{"authorization_code", "refresh_token"}},
		{ID: "nightly-job", Secret: "nightly-job-demo-secret", Grants: []string{"client_credentials"}},
	}
}

func (d *demo) startOperator(ctx context.Context) error {
	config, err := d.kubernetes.OperatorConfig(ctx)
	if err != nil {
		return err
	}
	d.operator, err = operator.Start(operator.Options{
		Config:       config,
		PublicURL:    d.addresses.publicURL(),
		CallbackAddr: d.addresses.callback,
		Modes:        []string{"Pairing"},
		Args:         []string{"--log-format=text"},
	})
	if err != nil {
		return err
	}
	d.atTheEnd(d.stopOperator)
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := d.operator.Ready(ready); err != nil {
		return err
	}
	d.story.tell("bin/manager, a process of its own with the ServiceAccount that config/rbac makes. It is no administrator:")
	return d.terminal.showRefusal(ctx, "kubectl auth can-i create pods --all-namespaces --as="+testenv.OperatorUser)
}

// stopOperator does not use the context of the steps, which may have ended.
func (d *demo) stopOperator() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return d.operator.Stop(ctx)
}

func (d *demo) applyManifests(ctx context.Context) (err error) {
	if d.folder, err = d.addresses.manifests(d.root, d.scratch); err != nil {
		return err
	}
	d.story.tell("Everything a team writes is in %s: connection alice is a person's account, connection robot a program's own.", manifests)
	return d.terminal.show(ctx, "kubectl apply -f "+d.folder)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
