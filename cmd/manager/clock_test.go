// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/oauth-operator/oauth-operator/internal/clusterclock"
)

func TestANodeWhoseClockIsWrongGoesByTheAPIServers(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		now := clusterclock.New(func() time.Time { return time.Now().Add(skew) })
		config := rest.CopyConfig(env.Config)
		config.Wrap(now.Observe)
		api, err := discovery.NewDiscoveryClientForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := api.ServerVersion(); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(now.Now()); off.Abs() > 2*time.Second {
			t.Errorf("with a clock that is %s ahead the time is %s off", skew, off)
		}
	}
}
