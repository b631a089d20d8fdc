// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/oauth-operator/oauth-operator/controllers"
	"github.com/oauth-operator/oauth-operator/internal/clusterclock"
)

// wakeAfterJump has all connections looked at when the time leapt, as after a machine slept: timers stand
// still meanwhile.
func wakeAfterJump(ctx context.Context, connections *controllers.ConnectionReconciler) func(time.Duration) {
	return func(by time.Duration) {
		logger := ctrl.Log.WithName("clock")
		logger.Info("the time leapt, so every connection is looked at", "by", by.String())
		if err := connections.WakeAll(ctx); err != nil {
			logger.Error(err, "looking at every connection after the time leapt")
		}
	}
}

// registerClock tells how wrong this machine's clock is. Nothing rests on it.
func registerClock(registry prometheus.Registerer, now *clusterclock.Clock) error {
	return registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "oauth_operator_node_clock_ahead_seconds",
		Help: "How far this machine's clock is ahead of the API server's, by which everything goes.",
	}, func() float64 { return now.Ahead().Seconds() }))
}
