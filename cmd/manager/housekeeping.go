// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/oauth-operator/oauth-operator/controllers"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// keepHouse adds what looks after keyset and records.
func keepHouse(mgr ctrl.Manager, o *options, live client.Client, store *tokenstore.Store, resolver *provider.Resolver) error {
	counters, err := controllers.NewHousekeepingMetrics(metrics.Registry, store.Keyring)
	if err != nil {
		return err
	}
	return (&controllers.Housekeeper{
		Cache: mgr.GetCache(), Live: live, Store: store, Resolver: resolver, Clock: store.Clock,
		Metrics: counters, Served: o.watchNamespaces,
	}).SetupWithManager(mgr)
}
