// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// renderer makes a YAML stream.
type renderer func(*verifier, context.Context) ([]byte, error)

func kustomization(path string) renderer {
	return func(v *verifier, ctx context.Context) ([]byte, error) {
		return v.command(ctx, nil, "kubectl", "kustomize", path)
	}
}

// variant is a way to install the chart.
type variant struct {
	name   string
	render renderer
}

func variants() []variant {
	values := func(values ...string) renderer {
		return func(v *verifier, ctx context.Context) ([]byte, error) {
			return v.helm(ctx, values...)
		}
	}
	return []variant{
		{"no values", values()},
		{"publicURL alone", values(publicURL)},
		{"everything on", values(publicURL,
			"image.tag=v9.9.9", "image.pullPolicy=Always", "image.pullSecrets[0].name=registry", "replicas=3",
			"connectModes={Pairing,PairingCode,Link}",
			"signIn.issuer=https://login.example.com", "signIn.clientID=a: b", "signIn.clientSecretRef.name=sign-in",
			"signIn.usernameClaim=email", "signIn.usernamePrefix=oidc:", "signIn.groupsClaim=groups",
			"signIn.groupsPrefix=oidc:", "signIn.scopes={openid,email}",
			"egress.allowCIDRs={10.20.0.0/16,fd00::/8}", "egress.denyCIDRs={192.0.2.0/24}", "egress.caConfigMap=corporate-ca",
			"callback.tls.secretName=callback-tls", "callback.trustedProxies={10.0.0.0/8}",
			"callback.ingress.enabled=true", "callback.ingress.className=nginx",
			`callback.ingress.annotations.cert-manager\.io/cluster-issuer=letsencrypt`,
			"callback.httpRoute.enabled=true", "callback.httpRoute.parentRefs[0].name=gateway",
			"metrics.serviceMonitor=true", "metrics.prometheusRule=true",
			`nodeSelector.kubernetes\.io/os=linux`, "tolerations[0].operator=Exists", "podAnnotations.note=text",
			"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
			"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key=disk",
			"affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator=Exists",
			"extraArgs={--log-level=debug}")},
		{"two namespaces only", values(publicURL, "watchNamespaces={team-a,team-b}", "watchTargets=false")},
		{"everything off", values("crds.enabled=false", "connectModes=null", "egress.allowHTTP=true", "policies.enabled=false",
			"networkPolicy=false", "podDisruptionBudget=false", "resources=null")},
	}
}

func (v *verifier) startServer(ctx context.Context) (string, error) {
	env, err := testenv.Start(ctx, testenv.Options{})
	if err != nil {
		return "", err
	}
	v.env = env
	dir, err := os.MkdirTemp("", "oauth-operator-verify-")
	if err != nil {
		return "", err
	}
	v.kubeconfig = filepath.Join(dir, "kubeconfig")
	for _, name := range []string{"team-a", "team-b"} {
		if err := env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return "", err
		}
	}
	return env.Config.Host, testenv.WriteKubeconfig(v.kubeconfig, env.Config)
}

// installCRDs applies what config/default has of them: the rest needs them to be there.
func (v *verifier) installCRDs(ctx context.Context) (string, error) {
	rendered, err := v.command(ctx, nil, "kubectl", "kustomize", "config/crd")
	if err != nil {
		return "", err
	}
	if _, err := v.command(ctx, rendered, "kubectl", "apply", "-f", "-"); err != nil {
		return "", err
	}
	out, err := v.command(ctx, rendered, "kubectl", "wait", "--for=condition=Established", "--timeout=60s", "-f", "-")
	return fmt.Sprintf("%d kinds", strings.Count(string(out), "condition met")), err
}

// applies renders and asks the API server what it would say. Kinds that the API server does not have
// are only rendered, and named.
func applies(render renderer) func(*verifier, context.Context) (string, error) {
	return func(v *verifier, ctx context.Context) (string, error) {
		rendered, err := render(v, ctx)
		if err != nil {
			return "", err
		}
		objects, err := parse(rendered)
		if err != nil {
			return "", err
		}
		served, absent, err := v.split(objects)
		if err != nil {
			return "", err
		}
		detail := fmt.Sprintf("%d objects", len(served))
		if len(absent) > 0 {
			detail += ", only rendered: " + strings.Join(absent, ", ")
		}
		if len(served) == 0 {
			return detail, nil
		}
		input, err := stream(served)
		if err != nil {
			return "", err
		}
		out, err := v.command(ctx, input, "kubectl", "apply", "--dry-run=server", "-f", "-")
		if err != nil {
			return "", err
		}
		if answers := strings.Count(string(out), "(server dry run)"); answers != len(served) {
			return "", fmt.Errorf("%d objects, %d answers:\n%s", len(served), answers, out)
		}
		return detail, nil
	}
}

// split sorts out the kinds that the API server does not have, of other projects.
func (v *verifier) split(objects []*unstructured.Unstructured) (served []*unstructured.Unstructured, absent []string, err error) {
	for _, o := range objects {
		_, err := v.env.Client.RESTMapper().RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		switch {
		case meta.IsNoMatchError(err):
			absent = append(absent, o.GetKind())
		case err != nil:
			return nil, nil, err
		default:
			served = append(served, o)
		}
	}
	slices.Sort(absent)
	return served, absent, nil
}
