// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	// leaseName is the Lease's, in the operator's namespace.
	leaseName = "oauth-operator"
	// leaseRetry is how often a leader renews its lease and others look at it: those up to 1.2 times later.
	// So a lease that was released is taken within 2 s, and one of a leader that died (15 s) within 20 s.
	leaseRetry = 900 * time.Millisecond
	// leaseDeadline is how long a leader goes on without renewing it.
	leaseDeadline = 10 * time.Second
)

// leaseLock is what controller-runtime would make, but for its identity: that of a dead predecessor, whose
// lease is then taken over without waiting for its end.
func leaseLock(config *rest.Config, namespace, id string) (*resourcelock.LeaseLock, error) {
	config = rest.AddUserAgent(rest.CopyConfig(config), "leader-election")
	// One request that hangs does not cost the lease.
	config.Timeout = leaseDeadline / 2
	api, err := coordinationv1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Client:     api,
		LockConfig: resourcelock.ResourceLockConfig{Identity: id},
	}, nil
}
