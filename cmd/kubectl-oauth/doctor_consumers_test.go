// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// filled is a pod that has all of the Secret in its environment.
func filled(secret string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", EnvFrom: []corev1.EnvFromSource{
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}}
}

// projected is a pod that has the Secret in a projected volume.
func projected(secret string) corev1.PodSpec {
	pod := mounting("", "")
	pod.Volumes[0].VolumeSource = corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}
	return pod
}

// beginning is a pod whose init container does what the container of another does.
func beginning(other corev1.PodSpec, policy *corev1.ContainerRestartPolicy) corev1.PodSpec {
	other.InitContainers, other.Containers = other.Containers, []corev1.Container{{Name: "other"}}
	other.InitContainers[0].RestartPolicy = policy
	return other
}

func TestConsumersThatNeverSeeARefreshAreFound(t *testing.T) {
	const misses = "warning: %s, container app: %s keeps the token of its start, and never sees a refresh"
	const once = "note: %s, container app: %s keeps the token of its start: enough while it runs shorter than the token lives"
	pod := func(maker string, once bool, spec corev1.PodSpec) workload {
		return workload{kind: "Pod", name: "x", maker: maker, once: once, pod: &spec}
	}
	web := func(annotations map[string]string, spec corev1.PodSpec) workload {
		return workload{kind: "Deployment", name: "web", maker: "Deployment web", annotations: annotations, pod: &spec}
	}
	for _, test := range []struct {
		name      string
		workloads []workload
		want      []string
	}{
		{"nobody", []workload{web(nil, environed("other")), web(nil, filled("other")), web(nil, projected("other")), web(nil, mounting("other", ""))},
			[]string{"note: no pod here uses Secret github"}},
		{"a volume", []workload{web(nil, mounting("github", ""))}, []string{"ok: in a volume, where refreshes arrive: Deployment web, container app"}},
		{"a projected volume", []workload{web(nil, projected("github"))}, []string{"ok: in a volume, where refreshes arrive: Deployment web, container app"}},
		{"subPath", []workload{web(nil, mounting("github", "access_token"))}, []string{fmt.Sprintf(misses, "Deployment web", "subPath at /var/run/oauth")}},
		{"env", []workload{pod("Pod x", false, environed("github"))}, []string{fmt.Sprintf(misses, "Pod x", "env TOKEN")}},
		{"envFrom", []workload{pod("Pod x", false, filled("github"))}, []string{fmt.Sprintf(misses, "Pod x", "envFrom")}},
		{"replicas", []workload{web(nil, environed("github")), pod("Deployment web", false, environed("github")), pod("Deployment web", false, environed("github"))},
			[]string{fmt.Sprintf(misses, "Deployment web", "env TOKEN")}},
		{"replicas of before the mend", []workload{web(nil, mounting("github", "")), pod("Deployment web", false, environed("github"))},
			[]string{"ok: in a volume, where refreshes arrive: Deployment web, container app", fmt.Sprintf(misses, "Pod x", "env TOKEN")}},
		{"a job", []workload{pod("CronJob x", true, environed("github"))}, []string{fmt.Sprintf(once, "Pod x", "env TOKEN")}},
		{"an init container", []workload{web(nil, beginning(environed("github"), nil))}, []string{fmt.Sprintf(once, "Deployment web", "env TOKEN")}},
		{"a sidecar", []workload{web(nil, beginning(environed("github"), ptr.To(corev1.ContainerRestartPolicyAlways)))}, []string{fmt.Sprintf(misses, "Deployment web", "env TOKEN")}},
		{"Reloader", []workload{web(map[string]string{"secret.reloader.stakater.com/reload": "other, github"}, environed("github"))},
			[]string{"ok: Deployment web, container app: env TOKEN; Reloader restarts it at each refresh"}},
		{"Reloader for all", []workload{web(map[string]string{"reloader.stakater.com/auto": "true"}, environed("github"))},
			[]string{"ok: Deployment web, container app: env TOKEN; Reloader restarts it at each refresh"}},
		{"Reloader for another", []workload{web(map[string]string{"secret.reloader.stakater.com/reload": "git"}, environed("github"))},
			[]string{fmt.Sprintf(misses, "Deployment web", "env TOKEN")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, f := range patientOf(held(-1, 1)).judgeConsumers(test.workloads) {
				got = append(got, string(f.Level)+": "+f.Found)
				expectFinding(t, f, f.Level, "")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPodsGoBackToWhatMadeThem(t *testing.T) {
	for _, test := range []struct {
		kind, name, hash string
		want             string
		once             bool
	}{
		{"", "", "", "Pod x", false},
		{"ReplicaSet", "web-7d9f", "7d9f", "Deployment web", false},
		{"ReplicaSet", "alone", "", "ReplicaSet alone", false},
		{"StatefulSet", "db", "", "StatefulSet db", false},
		{"Job", "nightly-29000000", "", "CronJob nightly", true},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{"pod-template-hash": test.hash}}}
		if test.kind != "" {
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: test.kind, Name: test.name, Controller: ptr.To(true)}}
		}
		if maker, once := makerOf(pod); maker != test.want || once != test.once {
			t.Errorf("%s %s: %s, %v", test.kind, test.name, maker, once)
		}
	}
}

func TestASecretOfSomebodyElseHasTwoWaysOut(t *testing.T) {
	conn := held(-1, 1)
	conn.UID = "2"
	owned := func(kind, name, uid string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "github"}}
		if kind != "" {
			s.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, UID: types.UID(uid), Controller: ptr.To(true)}}
		}
		return s
	}
	handed := owned("", "", "")
	handed.Annotations = map[string]string{v1alpha1.AdoptAnnotation: "github"}
	for _, test := range []struct {
		secret  *corev1.Secret
		want    level
		words   string
		foreign bool
	}{
		{owned("OAuthConnection", "github", "2"), "", "", false},
		{owned("OAuthConnection", "github", "1"), levelFault, "an earlier OAuthConnection of this name", true},
		{owned("OAuthConnection", "gitlab", "1"), levelFault, "belongs to OAuthConnection gitlab", true},
		{owned("", "", ""), levelFault, "belongs to nobody", true},
		{handed, levelWarning, "is handed over to this connection", true},
	} {
		f, foreign := patientOf(conn).judgeOwner(test.secret)
		if foreign != test.foreign {
			t.Errorf("%v: %v", test.secret.OwnerReferences, f)
		}
		expectFinding(t, f, test.want, test.words)
	}
}
