// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// expiredToken is a time in which a target held an expired token, or was not there any more.
type expiredToken struct {
	target       string
	since, until time.Time
}

// sampler knows at every moment what each target of a namespace says about its expiry: it is told of
// every change, and compares what a target said until then with the clock.
type sampler struct {
	stop func() []expiredToken

	expires map[string]time.Time
	expired []expiredToken
}

// sample starts to watch. The sampler's stop returns what was seen.
func (w *world) sample(t *testing.T, namespace string) *sampler {
	t.Helper()
	c, err := client.NewWithWatch(w.env.Config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := c.Watch(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace),
		client.HasLabels{"oauth-operator.dev/connection-uid"})
	if err != nil {
		t.Fatal(err)
	}
	s := &sampler{expires: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx, changes) }()
	s.stop = func() []expiredToken {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		changes.Stop()
		for target := range s.expires {
			s.look(target)
		}
		return s.expired
	}
	return s
}

func (s *sampler) run(ctx context.Context, changes watch.Interface) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case change, ok := <-changes.ResultChan():
			if !ok {
				return errors.New("the watch on targets ended")
			}
			if secret, ok := change.Object.(*corev1.Secret); ok {
				s.take(change.Type, secret)
			}
		}
	}
}

// take notes what a target says from now on. One that was never published is bare for a moment.
func (s *sampler) take(change watch.EventType, secret *corev1.Secret) {
	expiry, err := time.Parse(time.RFC3339, string(secret.Data["expiry"]))
	if _, known := s.expires[secret.Name]; !known && err != nil {
		return
	}
	s.look(secret.Name)
	if change == watch.Deleted || err != nil {
		expiry = time.Now()
	}
	s.expires[secret.Name] = expiry
}

// look compares what a target said until now with the clock.
func (s *sampler) look(target string) {
	if expiry, now := s.expires[target], time.Now(); !expiry.IsZero() && expiry.Before(now) {
		s.expired = append(s.expired, expiredToken{target: target, since: expiry, until: now})
	}
}
