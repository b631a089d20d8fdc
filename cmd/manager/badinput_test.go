// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// badInput is one thing that people, providers or neighbours get wrong, and what is said of it.
type badInput struct {
	// before prepares the world; it may be nil.
	before func(*world)
	// spec of the connection; ISSUER is the provider's address. Empty: a complete one.
	spec string
	// grant is client credentials unless consent is set: then a person connects first.
	consent bool
	// scopes are asked for besides those of OpenID Connect.
	scopes string
	// condition and reason that the connection comes to. ready says whether it works all the same.
	condition, reason string
	ready             bool
	// says are parts of the message: the field, the cause and the next command.
	says []string
}

const clientOf = "client: {id: web, secretRef: {name: client}}\n"

func badInputs() map[string]badInput {
	token := func(fault idp.Fault) func(*world) {
		return func(w *world) { w.provider.Fault(idp.Token, -1, fault) }
	}
	return map[string]badInput{
		"the client's Secret is missing": {
			spec:      "provider: {issuer: ISSUER}\nclient: {id: web, secretRef: {name: nowhere}}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonClientSecretNotFound,
			says: []string{"spec.client.secretRef", "nowhere", "kubectl -n", "create secret generic nowhere"},
		},
		"the key is missing": {
			spec:      "provider: {issuer: ISSUER}\nclient: {id: web, secretRef: {name: client, key: other}}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonClientSecretNotFound,
			says: []string{"spec.client.secretRef", "other", "kubectl -n"},
		},
		"the preset does not exist": {
			spec:      clientOf + "provider: {preset: githup}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonProviderInvalid,
			says: []string{"spec.provider.preset", "githup", "github"},
		},
		"a parameter of the preset is missing": {
			spec:      clientOf + "provider: {preset: microsoft-entra}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonProviderInvalid,
			says: []string{"spec.provider.parameters", "tenant"},
		},
		"the provider object does not exist": {
			spec:      clientOf + "providerRef: {name: nowhere}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonProviderNotFound,
			says: []string{"spec.providerRef", "nowhere", "kubectl"},
		},
		"the issuer cannot be reached": {
			spec:      clientOf + "provider: {issuer: 'http://127.0.0.1:1'}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonDiscoveryFailed,
			says: []string{"issuer", "127.0.0.1:1"},
		},
		"the issuer answers HTML": {
			before:    func(w *world) { w.provider.Fault(idp.Discovery, -1, idp.HTML(200)) },
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonDiscoveryFailed,
			says: []string{"issuer"},
		},
		"the issuer lies": {
			before: func(w *world) {
				w.provider.Fault(idp.Discovery, -1, idp.Rewrite(func(body map[string]any) { body["issuer"] = "https://evil.example.com" }))
			},
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonIssuerMismatch,
			says: []string{"issuer"},
		},
		"the issuer is at a private address": {
			spec:      clientOf + "provider: {issuer: 'https://10.0.0.1'}",
			condition: v1alpha1.ClientResolvedCondition, reason: v1alpha1.ReasonEndpointNotAllowed,
			says: []string{"issuer", "--allow-cidr"},
		},
		"the client is refused": {
			before:    token(idp.OAuthError("invalid_client", 401)),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonClientRejected,
			says: []string{"spec.client.id", "client-secret", "edit secret client"},
		},
		"a scope is refused": {
			before:    token(idp.OAuthError("invalid_scope", 400)),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRequestRejected,
			says: []string{"spec.scopes", "refresh-requested-at"},
		},
		"the provider answers HTML": {
			before:    token(idp.HTML(200)),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRefreshFailed,
			says: []string{"token endpoint", "HTTP 200", "asked again at"},
		},
		"the provider answers 200 with an error": {
			before:    token(idp.ErrorIn200("invalid_scope")),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRequestRejected,
			says: []string{"invalid_scope", "spec.scopes"},
		},
		"the provider answers a huge body": {
			before:    token(idp.HugeBody(10 << 20)),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRefreshFailed,
			says: []string{"token endpoint", "asked again at"},
		},
		"the provider is down": {
			before:    token(idp.Status(503, "down")),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRefreshFailed,
			says: []string{"HTTP 503", "asked again at"},
		},
		"the provider redirects": {
			before:    token(idp.Redirect(307, "http://127.0.0.1:1/")),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonRefreshFailed,
			says: []string{"HTTP 307"},
		},
		"the provider asks to wait": {
			before:    token(idp.Throttle(60e9)),
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonThrottled,
			says: []string{"HTTP 429", "asked again at"},
		},
		"the answer has no expiry": {
			before: token(idp.NoExpiry()), consent: true, ready: true,
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonFresh,
			says: []string{"no expiry", "tokenLifetime"},
		},
		"the answer has no refresh token": {
			before: token(idp.NoRefreshToken()), consent: true, ready: true,
			condition: v1alpha1.TokenFreshCondition, reason: v1alpha1.ReasonFresh,
			says: []string{"no refresh token", "connect again", "offline_access"},
		},
		"other scopes than asked for": {
			before: token(idp.OtherScopes("openid")), consent: true, ready: true, scopes: ", reports",
			condition: v1alpha1.AuthorizedCondition, reason: v1alpha1.ReasonScopesReduced,
			says: []string{"reports", "spec.scopes", "connect again"},
		},
		"other scopes than the client asked for": {
			before: token(idp.OtherScopes("openid")), ready: true, spec: "scopes: [openid, reports]",
			condition: v1alpha1.AuthorizedCondition, reason: v1alpha1.ReasonScopesReduced,
			says: []string{"reports", "spec.scopes", "refresh-requested-at"},
		},
		"the target belongs to somebody else": {
			before:    func(w *world) { w.createSecret("taken", map[string]string{"precious": "data"}) },
			spec:      "secret: {name: taken}",
			condition: v1alpha1.SecretPublishedCondition, reason: v1alpha1.ReasonSecretConflict,
			says: []string{"taken", "spec.secret.name", "oauth-operator.dev/adopt-by"},
		},
		"another connection has the target": {
			before: func(w *world) {
				first := w.apply("first", w.inline("grant: ClientCredentials\nsecret: {name: shared}"))
				w.await(first, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
			},
			spec:      "secret: {name: shared}",
			condition: v1alpha1.SecretPublishedCondition, reason: v1alpha1.ReasonSecretConflict,
			says: []string{"first", "spec.secret.name"},
		},
		"the template does not parse": {
			spec:      "secret: {template: {data: {token: '{{ .accessToken'}}}",
			condition: v1alpha1.SecretPublishedCondition, reason: v1alpha1.ReasonTemplateInvalid,
			says: []string{"spec.secret.template.data", "token"},
		},
		"the template asks for what does not exist": {
			spec:      "secret: {template: {data: {token: '{{ .refreshToken }}'}}}",
			condition: v1alpha1.SecretPublishedCondition, reason: v1alpha1.ReasonTemplateInvalid,
			says: []string{"spec.secret.template.data", "refreshToken"},
		},
		"the Secret's type wants another key": {
			spec:      "secret: {template: {type: kubernetes.io/dockerconfigjson, data: {token: x}}}",
			condition: v1alpha1.SecretPublishedCondition, reason: v1alpha1.ReasonTemplateInvalid,
			says: []string{".dockerconfigjson"},
		},
	}
}

func TestDescribeTellsTheCauseAndTheNextStepOfEachBadInput(t *testing.T) {
	for name, c := range badInputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, idp.Options{Rotation: true, ReuseDetection: true})
			if c.before != nil {
				c.before(w)
			}
			conn := w.apply("subject", c.complete(w))
			if c.consent {
				w.connect(conn)
			}
			met := metav1.ConditionFalse
			if c.ready {
				met = metav1.ConditionTrue
			}
			found := w.await(conn, c.condition, met, c.reason)
			for _, part := range c.says {
				if !strings.Contains(found.Message, part) {
					t.Errorf("the message is %q; it does not say %q", found.Message, part)
				}
			}
			if strings.Contains(describe(conn), idp.ProviderText) {
				t.Error("the provider's words are in the status")
			}
			if !c.ready {
				w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, c.reason)
			}
			if conn.Status.ObservedGeneration != conn.Generation {
				t.Errorf("observedGeneration is %d, want %d", conn.Status.ObservedGeneration, conn.Generation)
			}
		})
	}
}

func (c badInput) complete(w *world) string {
	spec := c.spec
	if !strings.Contains(spec, "client:") {
		spec = w.inline(spec)
	}
	if c.consent {
		return spec + "\nscopes: [openid, email, offline_access" + c.scopes + "]"
	}
	return spec + "\ngrant: ClientCredentials"
}

func TestAForeignSecretStaysAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idp.Options{})
	w.createSecret("taken", map[string]string{"precious": "data"})
	before := w.target("taken")
	conn := w.apply("subject", w.inline("grant: ClientCredentials\nsecret: {name: taken}"))
	w.await(conn, v1alpha1.SecretPublishedCondition, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	for i := range 20 {
		w.annotate(conn, "poke", strings.Repeat("x", i+1))
	}
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	w.gone(conn)
	if after := w.target("taken"); after.ResourceVersion != before.ResourceVersion {
		t.Error("the foreign Secret was written")
	}
}

func (w *world) annotate(obj client.Object, key, value string) {
	w.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+key+`":"`+value+`"}}}`))
	if err := env.Client.Patch(w.Context(), obj, patch); err != nil {
		w.Fatal(err)
	}
}

// gone waits until the object does not exist any more.
func (w *world) gone(obj client.Object) {
	w.Helper()
	w.eventually(obj.GetName()+" is gone", func() (bool, string) {
		err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(obj), obj)
		return client.IgnoreNotFound(err) == nil && err != nil, "it exists"
	})
}

func (w *world) secretsOfOperator() []corev1.Secret {
	w.Helper()
	var list corev1.SecretList
	if err := env.Client.List(w.Context(), &list, client.InNamespace("oauth-operator")); err != nil {
		w.Fatal(err)
	}
	return list.Items
}
