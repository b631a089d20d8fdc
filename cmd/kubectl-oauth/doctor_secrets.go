// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// clientSecretKey is the key where spec.client.secretRef names none.
const clientSecretKey = "client-secret"

// lookAtClientSecret looks at the value without ever showing it.
func (p *patient) lookAtClientSecret(ctx context.Context) []finding {
	d, err := p.describe(ctx)
	switch {
	case err != nil:
		return p.undescribed(err)
	case d.client == nil:
		return nil // ClientResolved says so
	case d.client.ServiceAccountRef != nil:
		return []finding{ok("the client needs none: it shows tokens of ServiceAccount %s; condition ClientResolved speaks for them", d.client.ServiceAccountRef.Name)}
	case d.client.SecretRef == nil:
		return []finding{ok("the client is public and has none")}
	case d.cluster:
		return []finding{note("%s keeps it in the operator's namespace; condition ClientResolved speaks for it", d.object)}
	}
	name, key := d.client.SecretRef.Name, d.client.SecretRef.Key
	if key == "" {
		key = clientSecretKey
	}
	secret := &corev1.Secret{}
	err = p.kube.Get(ctx, client.ObjectKey{Namespace: p.conn.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return []finding{fault(fmt.Sprintf("Secret %s does not exist", name), p.kubectl("create secret generic %s --from-literal=%s=…", name, key))}
	case err != nil:
		return []finding{p.unseen("Secret "+name, err)}
	}
	switch d.authentication {
	case v1alpha1.ClientAuthenticationTLS:
		return p.judgeKeys(secret, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	case v1alpha1.ClientAuthenticationPrivateKeyJWT:
		if _, found := secret.Data[key]; !found && key == clientSecretKey {
			key = corev1.TLSPrivateKeyKey
		}
		return p.judgeKeys(secret, key)
	}
	if missing := p.judgeKeys(secret, key); missing[0].Level != levelOK {
		return missing
	}
	if wrong := oddValue(string(secret.Data[key])); wrong != "" {
		return []finding{fault(fmt.Sprintf("key %s of Secret %s %s", key, name, wrong), p.setKey(name, key))}
	}
	return []finding{ok("Secret %s has key %s", name, key)}
}

// judgeKeys looks whether a Secret has all of these keys.
func (p *patient) judgeKeys(secret *corev1.Secret, keys ...string) []finding {
	for _, key := range keys {
		if _, found := secret.Data[key]; !found {
			return []finding{fault(fmt.Sprintf("Secret %s has no key %s; it has: %s", secret.Name, key, dash(keysOf(secret))), p.setKey(secret.Name, key))}
		}
	}
	return []finding{ok("Secret %s has key %s", secret.Name, strings.Join(keys, " and "))}
}

func (p *patient) setKey(name, key string) string {
	return p.kubectl(`patch secret %s --type=merge -p '{"stringData":{%q:"…"}}'`, name, key)
}

func keysOf(secret *corev1.Secret) string {
	return strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", ")
}

// oddValue says what is wrong with a client secret, in words that do not repeat it. One newline at the
// end does no harm: the operator drops it.
func oddValue(value string) string {
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	placeholder := regexp.MustCompile(`(?i)^(<.*>|\$\{.*\}|\{\{.*\}\}|\.\.\.|…|x{3,}|todo|changeme|change[-_]me|replace[-_ ]?me|secret|client[-_]?secret|your[-_ ].*|paste[-_ ].*|placeholder|dummy|example)$`)
	switch {
	case strings.TrimSpace(value) == "":
		return "is empty"
	case placeholder.MatchString(strings.TrimSpace(value)):
		return "is a placeholder, not the secret that the provider gave"
	case strings.TrimSpace(value) != value:
		return "has white space around it, which the provider does not expect"
	}
	return ""
}

// lookAtTarget reads the Secret that workloads mount.
func (p *patient) lookAtTarget(ctx context.Context) []finding {
	name := p.conn.TargetName()
	secret := &corev1.Secret{}
	err := p.kube.Get(ctx, client.ObjectKey{Namespace: p.conn.Namespace, Name: name}, secret)
	published := p.conn.Status.Binding != nil || meta.IsStatusConditionTrue(p.conn.Status.Conditions, v1alpha1.SecretPublishedCondition)
	switch {
	case apierrors.IsNotFound(err) && published:
		return []finding{fault(fmt.Sprintf("Secret %s does not exist, and the operator has published it", name), "have it written anew: "+p.next("refresh"))}
	case apierrors.IsNotFound(err):
		return []finding{note("Secret %s is not there yet: it comes with the first token", name)}
	case err != nil:
		return []finding{p.unseen("Secret "+name, err)}
	}
	return p.judgeTarget(secret)
}

// judgeTarget asks whose the Secret is, then whether it holds what it should.
func (p *patient) judgeTarget(secret *corev1.Secret) []finding {
	if f, foreign := p.judgeOwner(secret); foreign {
		return []finding{f}
	}
	again := "have it written anew: " + p.next("refresh")
	var found []finding
	if missing := slices.DeleteFunc(p.expectedKeys(), func(key string) bool { _, has := secret.Data[key]; return has }); len(missing) > 0 {
		found = append(found, fault(fmt.Sprintf("Secret %s lacks the keys: %s", secret.Name, strings.Join(missing, ", ")), again))
	}
	if expiry, known := p.expiry(secret); known && !p.now().Before(expiry) {
		found = append(found, fault(fmt.Sprintf("the token in Secret %s expired %s", secret.Name, relative(expiry, p.now())), p.next("refresh")))
	}
	if found == nil {
		found = append(found, ok("Secret %s is this connection's, with %s", secret.Name, keysOf(secret)))
	}
	return found
}

func (p *patient) judgeOwner(secret *corev1.Secret) (_ finding, foreign bool) {
	name, owner := secret.Name, metav1.GetControllerOf(secret)
	switch {
	case owner == nil && secret.Annotations[v1alpha1.AdoptAnnotation] == p.conn.Name:
		return warn("Secret %s is handed over to this connection, and the operator has not taken it yet", name).mended("%s", p.next("refresh")), true
	case owner == nil:
		return fault(fmt.Sprintf("Secret %s belongs to nobody, so the operator leaves it alone", name),
			fmt.Sprintf("hand it over: %s; or %s", p.kubectl("annotate secret %s %s=%s", name, v1alpha1.AdoptAnnotation, p.conn.Name), p.otherTarget())), true
	case owner.UID == p.conn.UID:
		return finding{}, false
	case owner.Kind == "OAuthConnection" && owner.Name == p.conn.Name:
		return fault(fmt.Sprintf("Secret %s belongs to an earlier OAuthConnection of this name", name),
			fmt.Sprintf("delete it, and it is made anew: %s; or %s", p.kubectl("delete secret %s", name), p.otherTarget())), true
	}
	return fault(fmt.Sprintf("Secret %s belongs to %s %s, so the operator leaves it alone", name, owner.Kind, owner.Name),
		fmt.Sprintf("%s; or have %s %s give it up", p.otherTarget(), owner.Kind, owner.Name)), true
}

// expectedKeys are those of the template, or the default ones. An expiry is not always known.
func (p *patient) expectedKeys() []string {
	if t := p.conn.Spec.Secret.Template; t != nil && len(t.Data) > 0 {
		return slices.Sorted(maps.Keys(t.Data))
	}
	return []string{accessTokenKey, "token_type", "scope"}
}

// expiry is what the Secret says where it has the default keys, else what the operator says.
func (p *patient) expiry(secret *corev1.Secret) (time.Time, bool) {
	if t := p.conn.Spec.Secret.Template; t == nil || len(t.Data) == 0 {
		at, err := time.Parse(time.RFC3339, string(secret.Data["expiry"]))
		return at, err == nil
	}
	if at := p.conn.Status.ExpiresAt; at != nil {
		return at.Time, true
	}
	return time.Time{}, false
}
