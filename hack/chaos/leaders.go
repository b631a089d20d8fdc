// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	leadersConnections = 80
	// earlyBy is by how much a refresh may come before its time: the API server tells its own in seconds.
	earlyBy = 2 * time.Second
)

// twoLeaders runs two operators without leader election on the same connections, also with clocks that
// differ, at a provider that ends a grant whose token is sent twice.
func twoLeaders(ctx context.Context, s *suite, r *result) error {
	refreshes := s.times(160, 3_500)
	r.limit = "0 lost, none sent twice, none early, none missed"
	skews := []string{"0s", "5m", "-5m"}
	r.tried = fmt.Sprintf("%d refreshes with clocks equal, %d with +5 min, %d with -5 min", refreshes, refreshes, refreshes)
	group, ctx := errgroup.WithContext(ctx)
	for _, skew := range skews {
		group.Go(func() error {
			if err := s.rivals(ctx, r, skew, refreshes); err != nil {
				return fmt.Errorf("clocks apart by %s: %w", skew, err)
			}
			return nil
		})
	}
	err := group.Wait()
	slices.Sort(r.notes)
	return err
}

// rivals are two operators, one of them with a clock that is wrong.
func (s *suite) rivals(ctx context.Context, r *result, skew string, refreshes int) (err error) {
	name := map[string]string{"0s": "equal", "5m": "ahead", "-5m": "behind"}[skew]
	lifetime := s.rivalLifetime()
	c, err := s.newCell(ctx, "leaders-"+name, cellOptions{
		teams: 2, connections: leadersConnections, rules: rules{lifetime: lifetime, rotates: true},
		token: func(int) (time.Time, time.Duration) { return time.Now(), lifetime },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var pods []*pod
	for _, clock := range []string{"0s", skew} {
		p, err := c.newPod("--leader-elect=false")
		if err != nil {
			return err
		}
		p.env = []string{"CHAOS_CLOCK_SKEW=" + clock}
		if err := p.startReady(ctx); err != nil {
			return err
		}
		pods = append(pods, p)
	}
	began := c.tokens.seen()
	limit := time.Minute + 2*lifetime*time.Duration(1+refreshes/leadersConnections)
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := c.tokens.await(bounded, began+refreshes); err != nil {
		return fmt.Errorf("%w\n%s", err, pods[0].tail(20))
	}
	c.judgeTiming(r, name, c.tokens.log(0))
	if _, repeats := c.tokens.sentTwice(); repeats > 0 {
		r.breach("%s: %d refresh tokens were sent twice within the lifetime of an intent", name, repeats)
	}
	lost, err := c.verify(ctx, c.conns)
	r.lost += len(lost)
	for _, note := range c.tell(ctx, lost) {
		r.breach("%s: lost: %s", name, note)
	}
	return errors.Join(err, pods[0].stop(ctx), pods[1].stop(ctx))
}

// rivalLifetime is how long access tokens live: each is refreshed after about half of it, and may be late by
// the other half.
func (s *suite) rivalLifetime() time.Duration {
	if s.long {
		return 20 * time.Second
	}
	return 40 * time.Second
}

// judgeTiming compares when each refresh token came with when it was due. The first of each family does
// not count: it waited for the operators to start.
func (c *cell) judgeTiming(r *result, name string, requests []arrival) {
	owner := map[int]*connection{}
	for _, conn := range c.conns {
		owner[int(conn.family.Load())] = conn
	}
	issued := map[[2]int]time.Time{} // by family and generation
	var late []time.Duration
	var when []string // those that came too late came
	early, missed := 0, 0
	for _, a := range requests {
		if a.outcome == answered {
			issued[[2]int{a.family, a.generation + 1}] = a.processed
		}
		obtained, known := issued[[2]int{a.family, a.generation}]
		conn := owner[a.family]
		if !known || conn == nil {
			continue
		}
		token := &oauth.Token{Obtained: obtained, Expiry: obtained.Add(c.rivalLifetime())}
		due := oauth.DueAt(token, oauth.Schedule{Seed: string(conn.object.UID)})
		late = append(late, a.at.Sub(due))
		switch {
		case a.at.Before(due.Add(-earlyBy)):
			early++
		case a.at.After(token.Expiry):
			missed++
			when = append(when, fmt.Sprintf("%s (%s)", a.at.Format(time.TimeOnly), round(a.at.Sub(token.Expiry))))
		}
	}
	for _, conn := range c.conns {
		if is := c.truth(conn); time.Now().After(is.expiry) {
			missed++
		}
	}
	slices.Sort(late)
	if len(late) == 0 {
		r.breach("%s: nothing was refreshed twice", name)
		return
	}
	r.note("%s: %d refreshes judged; after their due time by %s (least), %s (median), %s (most)", name, len(late),
		round(late[0]), round(late[len(late)/2]), round(late[len(late)-1]))
	if early+missed > 0 {
		r.breach("%s: %d refreshes came early, %d after the token's expiry or not at all; at %v", name, early, missed, when)
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
