// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// operatorTokenLifetime is longer than any test or benchmark.
const operatorTokenLifetime = 24 * time.Hour

// OperatorConfig is the operator's: a real token of its ServiceAccount, so that RBAC applies.
func (e *Env) OperatorConfig(ctx context.Context) (*rest.Config, error) {
	return e.ServiceAccountConfig(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: OperatorServiceAccount, Namespace: OperatorNamespace},
	})
}

// ServiceAccountConfig is the identity of a ServiceAccount that exists, by a token that outlives any test.
func (e *Env) ServiceAccountConfig(ctx context.Context, account *corev1.ServiceAccount) (*rest.Config, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: ptr.To(int64(operatorTokenLifetime / time.Second)),
	}}
	if err := e.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(e.Config)
	config.BearerToken = request.Status.Token
	config.QPS = -1
	return config, nil
}

// UserConfig is a person's: a client certificate with this name and these groups.
func (e *Env) UserConfig(name string, groups ...string) (*rest.Config, error) {
	e.users.Lock()
	defer e.users.Unlock()
	user, err := e.plane.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

// WriteKubeconfig writes cfg as a kubeconfig that only its owner can read.
func WriteKubeconfig(path string, cfg *rest.Config) error {
	const name = "oauth-operator"
	kubeconfig := api.NewConfig()
	kubeconfig.Clusters[name] = &api.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kubeconfig.AuthInfos[name] = &api.AuthInfo{
		Token:                 cfg.BearerToken,
		ClientCertificateData: cfg.CertData,
		ClientKeyData:         cfg.KeyData,
	}
	kubeconfig.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	return clientcmd.WriteToFile(*kubeconfig, path)
}
