// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/publish"
)

// soaking is what a form of the soak lasts and asks for.
type soaking struct {
	connections      int
	lifetime, lasts  time.Duration
	hang             time.Duration
	mercy            int
	burstEvery, look time.Duration
}

// grace of the soak's provider, as Atlassian's.
const soakGrace = 10 * time.Minute

// soak runs for long at a provider that is as bad as providers are, and looks at every target all the time.
func soak(ctx context.Context, s *suite, r *result) (err error) {
	f := soaking{connections: s.times(100, 0), lifetime: time.Minute, lasts: 90 * time.Second, hang: 2 * time.Second,
		mercy: 1, burstEvery: 7 * time.Second, look: 500 * time.Millisecond}
	if s.long {
		f = soaking{connections: s.times(0, 1000), lifetime: 5 * time.Minute, lasts: time.Hour, hang: 45 * time.Second,
			burstEvery: time.Minute, look: 2 * time.Second}
	} else {
		r.note("tokens of %s cannot survive hangs of 30 s and backoffs of 5 to 10 s: the provider hangs for %s, asks to wait for 5 s and fails a connection once in a row at most", f.lifetime, f.hang)
	}
	r.limit = "0 s of an expired token, no request inside a Retry-After"
	r.tried = fmt.Sprintf("%d connections for %s", f.connections, f.lasts)
	c, err := s.newCell(ctx, r.name, cellOptions{
		teams: 10, connections: f.connections, rules: rules{lifetime: f.lifetime, rotates: true, grace: soakGrace}, window: soakGrace,
		token: func(int) (time.Time, time.Duration) { return time.Now(), f.lifetime },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, release, err := c.runPod(ctx)
	if err != nil {
		return err
	}
	defer release()
	c.tokens.set(func(r *rules) {
		r.failing, r.hanging, r.hang, r.mercy, r.retryAfter = 0.10, 0.05, f.hang, f.mercy, 5*time.Second
	})
	if err := c.endure(ctx, r, f); err != nil {
		return err
	}
	c.tokens.set(func(r *rules) { r.failing, r.hanging = 0, 0 })
	lost, err := c.verify(ctx, c.conns)
	r.lost = len(lost)
	for _, note := range c.tell(ctx, lost) {
		r.breach("lost: %s", note)
	}
	c.tokens.judgePatience(r)
	r.note("answers: %v", c.tokens.counts(0))
	p.tellRestarts(r)
	return errors.Join(err, p.stop(ctx))
}

// endure lets the time go by, with bursts of 429, and looks at the targets.
func (c *cell) endure(ctx context.Context, r *result, f soaking) error {
	ctx, cancel := context.WithTimeout(ctx, f.lasts)
	defer cancel()
	var looks, expired atomic.Int64 // expired in nanoseconds
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for pause(ctx, f.burstEvery) == nil {
			c.tokens.throttle(time.Second)
		}
		return nil
	})
	group.Go(func() error {
		last := time.Now()
		for pause(ctx, f.look) == nil {
			now := time.Now()
			stale, example, err := c.stale(ctx, now)
			switch {
			case ctx.Err() != nil: // the time is over
			case err != nil:
				return err
			case stale > 0:
				expired.Add(int64(stale) * int64(now.Sub(last)))
				r.progress("%d targets hold an expired token, such as %s", stale, example)
			}
			looks.Add(1)
			last = now
		}
		return nil
	})
	if f.lasts > 10*time.Minute {
		group.Go(func() error {
			for pause(ctx, 5*time.Minute) == nil {
				r.progress("%v; %.1f s of expired tokens", c.tokens.counts(0), time.Duration(expired.Load()).Seconds())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.note("%d looks at all targets: %.1f s of an expired token, of %.0f s in all", looks.Load(),
		time.Duration(expired.Load()).Seconds(), f.lasts.Seconds()*float64(len(c.conns)))
	if expired.Load() > 0 {
		r.breach("%.1f s of an expired token in targets", time.Duration(expired.Load()).Seconds())
	}
	return nil
}

// stale counts the targets whose token has expired at the provider, or that are not there.
func (c *cell) stale(ctx context.Context, now time.Time) (count int, example string, err error) {
	found := 0
	for _, team := range c.teams {
		var targets corev1.SecretList
		if err := c.env.Client.List(ctx, &targets, client.InNamespace(team), client.HasLabels{publish.ConnectionLabel}); err != nil {
			return 0, "", err
		}
		found += len(targets.Items)
		for i := range targets.Items {
			expiry, ok := expiryOf(string(targets.Items[i].Data[tokenKey]))
			if !ok || !now.Before(expiry) {
				count, example = count+1, targets.Items[i].Name
			}
		}
	}
	return count + len(c.conns) - found, example, nil
}
