// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// workload is a pod, or what makes pods.
type workload struct {
	kind, name string
	// maker is what a pod goes back to, or itself: one warning for all replicas.
	maker       string
	annotations map[string]string
	once        bool // it runs to its end
	pod         *corev1.PodSpec
}

// use is a way in which a container gets at a Secret.
type use struct {
	container string
	how       string // "env TOKEN"
	follows   bool   // a refresh arrives
	once      bool   // the container ends before the pod is up
}

// lookAtConsumers finds who reads the target, and who never sees a refresh.
func (p *patient) lookAtConsumers(ctx context.Context) []finding {
	workloads, err := p.workloads(ctx)
	if err != nil {
		return []finding{p.unseen("the pods of this namespace", err)}
	}
	return p.judgeConsumers(workloads)
}

// workloads are what makes pods, then the pods: a template stands for its replicas. What one may not
// list is left out, unless it is the pods themselves.
func (p *patient) workloads(ctx context.Context) ([]workload, error) {
	within := client.InNamespace(p.conn.Namespace)
	var all []workload
	add := func(kind string, m *metav1.ObjectMeta, pod *corev1.PodSpec, once bool) {
		all = append(all, workload{kind, m.Name, kind + " " + m.Name, m.Annotations, once, pod})
	}
	deployments, sets, daemons, jobs := &appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}, &batchv1.CronJobList{}
	for _, list := range []client.ObjectList{deployments, sets, daemons, jobs} {
		if err := p.kube.List(ctx, list, within); err != nil && !apierrors.IsForbidden(err) {
			return nil, err
		}
	}
	for i := range deployments.Items {
		add("Deployment", &deployments.Items[i].ObjectMeta, &deployments.Items[i].Spec.Template.Spec, false)
	}
	for i := range sets.Items {
		add("StatefulSet", &sets.Items[i].ObjectMeta, &sets.Items[i].Spec.Template.Spec, false)
	}
	for i := range daemons.Items {
		add("DaemonSet", &daemons.Items[i].ObjectMeta, &daemons.Items[i].Spec.Template.Spec, false)
	}
	for i := range jobs.Items {
		add("CronJob", &jobs.Items[i].ObjectMeta, &jobs.Items[i].Spec.JobTemplate.Spec.Template.Spec, true)
	}
	pods := &corev1.PodList{}
	if err := p.kube.List(ctx, pods, within); err != nil {
		return nil, err
	}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			maker, once := makerOf(pod)
			all = append(all, workload{"Pod", pod.Name, maker, nil, once, &pod.Spec})
		}
	}
	return all, nil
}

// makerOf is what a pod goes back to: names of ReplicaSets and of Jobs begin with their owner's.
func makerOf(pod *corev1.Pod) (maker string, once bool) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "Pod " + pod.Name, pod.Spec.RestartPolicy == corev1.RestartPolicyNever
	}
	switch hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; {
	case owner.Kind == "ReplicaSet" && hash != "":
		return "Deployment " + strings.TrimSuffix(owner.Name, "-"+hash), false
	case owner.Kind == "Job":
		return "CronJob " + regexp.MustCompile(`-\d+$`).ReplaceAllString(owner.Name, ""), true
	}
	return owner.Kind + " " + owner.Name, false
}

// judgeConsumers warns of each container that does not see a refresh, once for all replicas.
func (p *patient) judgeConsumers(workloads []workload) []finding {
	var found []finding
	var well []string
	told := map[string]bool{}
	for _, w := range workloads {
		for _, u := range usesOf(w.pod, p.conn.TargetName()) {
			key := strings.Join([]string{w.maker, u.container, u.how}, "\x00")
			switch {
			case told[key]:
			case u.follows:
				well = append(well, fmt.Sprintf("%s %s, container %s", w.kind, w.name, u.container))
			default:
				found = append(found, p.judgeUse(w, u))
			}
			told[key] = true
		}
	}
	if well = slices.Compact(well); len(well) > 0 {
		found = append([]finding{ok("in a volume, where refreshes arrive: %s", enumerate(well, 6))}, found...)
	}
	if found == nil {
		found = append(found, note("no pod here uses Secret %s", p.conn.TargetName()))
	}
	return found
}

func (p *patient) judgeUse(w workload, u use) finding {
	secret := p.conn.TargetName()
	who := fmt.Sprintf("%s %s, container %s: %s", w.kind, w.name, u.container, u.how)
	if w.once || u.once {
		return note("%s keeps the token of its start: enough while it runs shorter than the token lives", who)
	}
	if reloaded(w.annotations, secret) {
		return ok("%s; Reloader restarts it at each refresh", who)
	}
	mend := fmt.Sprintf("mount Secret %s as a whole volume, without subPath, and read the file anew for each request", secret)
	if maker, name, _ := strings.Cut(w.maker, " "); maker != "Pod" {
		mend += "; or have Reloader restart it: " + p.kubectl("annotate %s %s secret.reloader.stakater.com/reload=%s", strings.ToLower(maker), name, secret)
	}
	return warn("%s keeps the token of its start, and never sees a refresh", who).mended("%s", mend)
}

// reloaded says whether Stakater Reloader watches the Secret for this workload.
func reloaded(annotations map[string]string, secret string) bool {
	for _, name := range strings.Split(annotations["secret.reloader.stakater.com/reload"], ",") {
		if strings.TrimSpace(name) == secret {
			return true
		}
	}
	return annotations["reloader.stakater.com/auto"] == "true" || annotations["secret.reloader.stakater.com/auto"] == "true"
}

// usesOf lists how a pod's containers get at a Secret.
func usesOf(pod *corev1.PodSpec, secret string) []use {
	var volumes []string
	for i := range pod.Volumes {
		if holds(&pod.Volumes[i], secret) {
			volumes = append(volumes, pod.Volumes[i].Name)
		}
	}
	var uses []use
	for i := range pod.InitContainers {
		c := &pod.InitContainers[i]
		for _, u := range usesOfContainer(c, secret, volumes) {
			u.once = c.RestartPolicy == nil // with one it is a sidecar
			uses = append(uses, u)
		}
	}
	for i := range pod.Containers {
		uses = append(uses, usesOfContainer(&pod.Containers[i], secret, volumes)...)
	}
	return uses
}

func holds(v *corev1.Volume, secret string) bool {
	if v.Secret != nil {
		return v.Secret.SecretName == secret
	}
	return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
		return s.Secret != nil && s.Secret.Name == secret
	})
}

func usesOfContainer(c *corev1.Container, secret string, volumes []string) []use {
	var uses []use
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secret {
			uses = append(uses, use{container: c.Name, how: "env " + e.Name})
		}
	}
	for _, e := range c.EnvFrom {
		if e.SecretRef != nil && e.SecretRef.Name == secret {
			uses = append(uses, use{container: c.Name, how: "envFrom"})
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			continue
		}
		if m.SubPath != "" || m.SubPathExpr != "" {
			uses = append(uses, use{container: c.Name, how: "subPath at " + m.MountPath})
		} else {
			uses = append(uses, use{container: c.Name, how: "volume at " + m.MountPath, follows: true})
		}
	}
	return uses
}
