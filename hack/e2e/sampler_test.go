// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// samplingInterval is how often each target is compared with the clock.
const samplingInterval = 100 * time.Millisecond

// expiredToken is a time in which a target held an expired token, or was not there any more.
type expiredToken struct {
	target       string
	since, until time.Time
}

// sampler watches the targets of a namespace and looks at the clock all the time.
type sampler struct {
	stop func() []expiredToken

	expires map[string]time.Time // zero: the target is gone, or says nothing
	now     map[string]*expiredToken
	ended   []expiredToken
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
	s := &sampler{expires: map[string]time.Time{}, now: map[string]*expiredToken{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx, changes) }()
	s.stop = func() []expiredToken {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		changes.Stop()
		return s.seen()
	}
	return s
}

func (s *sampler) run(ctx context.Context, changes watch.Interface) error {
	tick := time.NewTicker(samplingInterval)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case change, ok := <-changes.ResultChan():
			if !ok {
				return fmt.Errorf("the watch on targets ended")
			}
			if secret, ok := change.Object.(*corev1.Secret); ok {
				s.take(change.Type, secret)
			}
		case now := <-tick.C:
			if gap := time.Since(last); gap > 10*samplingInterval {
				return fmt.Errorf("this machine is too busy: targets were not looked at for %s", gap)
			}
			last = time.Now()
			s.look(now)
		}
	}
}

// take notes what a target says. A target that was never published is bare for a moment.
func (s *sampler) take(change watch.EventType, secret *corev1.Secret) {
	expiry, err := time.Parse(time.RFC3339, string(secret.Data["expiry"]))
	_, known := s.expires[secret.Name]
	switch {
	case change == watch.Deleted:
		s.expires[secret.Name] = time.Time{}
	case err == nil || known:
		s.expires[secret.Name] = expiry
	}
}

func (s *sampler) look(now time.Time) {
	for target, expiry := range s.expires {
		switch x := s.now[target]; {
		case now.Before(expiry) && x != nil:
			s.ended = append(s.ended, *x)
			delete(s.now, target)
		case now.Before(expiry):
		case x != nil:
			x.until = now
		default:
			s.now[target] = &expiredToken{target: target, since: now, until: now}
		}
	}
}

func (s *sampler) seen() []expiredToken {
	all := s.ended
	for _, x := range s.now {
		all = append(all, *x)
	}
	return all
}
