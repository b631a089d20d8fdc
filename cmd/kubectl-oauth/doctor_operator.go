// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	semver "k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Where the operator is, unless it was installed otherwise.
const (
	operatorNamespace = "oauth-operator"
	operatorLease     = "oauth-operator"
)

const (
	// leaseTerm is that of the Lease, with something for clocks that differ; it is renewed every 2 s.
	leaseTerm = 25 * time.Second
	// leaseGrace is well above the 15 s after which another replica takes the Lease over.
	leaseGrace = time.Minute
	// refreshGrace is how late a refresh may be before somebody should look.
	refreshGrace = 10 * time.Minute
)

// lookAtOperator asks those who know best and may be asked: the Deployment, the Lease, and in the end
// what the operator writes into connections.
func (d *doctor) lookAtOperator(ctx context.Context) []finding {
	deployments := &appsv1.DeploymentList{}
	labelled := client.MatchingLabels{"app.kubernetes.io/name": "oauth-operator"}
	everywhere := true
	err := d.kube.List(ctx, deployments, labelled)
	if apierrors.IsForbidden(err) {
		everywhere = false
		err = d.kube.List(ctx, deployments, labelled, client.InNamespace(operatorNamespace))
	}
	if err == nil && len(deployments.Items) > 0 {
		var found []finding
		for i := range deployments.Items {
			found = append(found, judgeDeployment(&deployments.Items[i]))
			found = append(found, judgeVersions(operatorVersion(&deployments.Items[i]), version())...)
		}
		return found
	}
	if err != nil && !apierrors.IsForbidden(err) {
		return []finding{d.unseen("the operator's Deployment", err)}
	}
	return []finding{d.lookAtLease(ctx, everywhere)}
}

// judgeDeployment says whether any replica is ready.
func judgeDeployment(at *appsv1.Deployment) finding {
	where := fmt.Sprintf("Deployment %s in namespace %s", at.Name, at.Namespace)
	switch ready := at.Status.ReadyReplicas; {
	case at.Spec.Replicas != nil && *at.Spec.Replicas == 0:
		return fault(where+" is scaled to 0 replicas", fmt.Sprintf("kubectl -n %s scale deployment %s --replicas=2", at.Namespace, at.Name))
	case ready == 0:
		return fault(where+" has no replica that is ready",
			fmt.Sprintf("kubectl -n %s describe deployment,pods -l app.kubernetes.io/name=oauth-operator; kubectl -n %s logs deployment/%s", at.Namespace, at.Namespace, at.Name))
	default:
		return ok("%s has %s ready", where, plural(int(ready), "replica", "replicas"))
	}
}

// operatorVersion is the tag of the image; empty where there is none.
func operatorVersion(at *appsv1.Deployment) string {
	for _, c := range at.Spec.Template.Spec.Containers {
		image, _, _ := strings.Cut(c.Image, "@")
		if _, tag, tagged := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":"); tagged {
			return tag
		}
	}
	return ""
}

// judgeVersions says whether operator and plugin are of one minor version. A build without a version
// cannot be compared.
func judgeVersions(operator, plugin string) []finding {
	theirs, err := semver.ParseSemantic(operator)
	ours, ourErr := semver.ParseSemantic(plugin)
	if err != nil || ourErr != nil || strings.HasPrefix(plugin, "v0.0.0-") {
		return nil
	}
	switch c := cmp.Or(cmp.Compare(theirs.Major(), ours.Major()), cmp.Compare(theirs.Minor(), ours.Minor())); {
	case c > 0:
		return []finding{warn("the operator is of version %s, this plugin of the older %s", operator, plugin).mended(pluginHint)}
	case c < 0:
		return []finding{warn("the operator is of version %s, this plugin of the newer %s", operator, plugin).
			mended("ask the platform team to update the operator; until then use the plugin of its version")}
	}
	return nil
}

// lookAtLease asks who leads. everywhere says that there is no Deployment in the whole cluster.
func (d *doctor) lookAtLease(ctx context.Context, everywhere bool) finding {
	lease := &coordinationv1.Lease{}
	err := d.kube.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorLease}, lease)
	switch {
	case err == nil:
		return judgeLease(lease, d.now())
	case apierrors.IsNotFound(err) && everywhere:
		return fault("no Deployment in this cluster has label app.kubernetes.io/name=oauth-operator: the operator is not installed", installHint)
	}
	return judgeTraces(d.conns, d.now())
}

func judgeLease(lease *coordinationv1.Lease, now time.Time) finding {
	holder, renewed := "", time.Time{}
	if lease.Spec.HolderIdentity != nil {
		holder = *lease.Spec.HolderIdentity
	}
	if lease.Spec.RenewTime != nil {
		renewed = lease.Spec.RenewTime.Time
	}
	if holder == "" || now.Sub(renewed) > leaseGrace {
		last := "never"
		if !renewed.IsZero() {
			last = relative(renewed, now)
		}
		return fault(fmt.Sprintf("no replica leads: Lease %s in namespace %s was renewed %s", lease.Name, lease.Namespace, last),
			"ask the platform team whether it runs: "+findOperator)
	}
	if now.Sub(renewed) > leaseTerm {
		return warn("it may have just stopped: %s holds Lease %s in namespace %s, and has renewed it %s", holder, lease.Name, lease.Namespace, relative(renewed, now)).
			mended("look again in a minute; ask the platform team whether it runs: %s", findOperator)
	}
	return ok("it runs: %s holds Lease %s in namespace %s", holder, lease.Name, lease.Namespace)
}

// judgeTraces concludes from connections: the operator notes which generation it has looked at, and
// when it renews next.
func judgeTraces(conns []v1alpha1.OAuthConnection, now time.Time) finding {
	const blind = "you may not look at its Deployment or its Lease"
	seen := 0
	for i := range conns {
		switch {
		case overdue(&conns[i], now):
			return warn("it does not seem to run: %s was to be refreshed %s, and %s", conns[i].Name, relative(conns[i].Status.RefreshAt.Time, now), blind).
				mended("ask the platform team whether it runs: %s", findOperator)
		case conns[i].Status.ObservedGeneration == conns[i].Generation:
			seen++
		}
	}
	if seen == 0 {
		return note("%s, and no connection here tells whether it runs", blind).mended("ask the platform team whether it runs: %s", findOperator)
	}
	return ok("it has looked at %s (%s)", plural(seen, "connection here as it is now", "connections here as they are now"), blind)
}

// overdue says that a refresh is long past, or that the token ended without one. After a failure there is
// always a new date.
func overdue(conn *v1alpha1.OAuthConnection, now time.Time) bool {
	at, end := conn.Status.RefreshAt, conn.Status.ExpiresAt
	if at == nil || conn.Spec.Suspend || conn.DeletionTimestamp != nil {
		return false
	}
	ended := end != nil && !end.Before(at) && now.Sub(end.Time) > leaseTerm
	return ended || now.Sub(at.Time) > refreshGrace
}
