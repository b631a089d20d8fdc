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
)

const (
	// holdFor is how long the provider keeps answers back at most: a request is given up after 30 s.
	holdFor = 18 * time.Second
	// perClient connections share a registration: of one no more than 32 requests are under way.
	perClient = 25
	awayTeams = 20
	// mostVictims connections have a request under way in one outage: more do not get there within holdFor.
	mostVictims = 1500
	// longAway is the first outage of the long form, shortAway every other.
	longAway, shortAway = 10 * time.Minute, 20 * time.Second
)

// victim is an installation that is cut off from the API server.
type victim struct {
	*cell
	pod    *pod
	killed bool // while it is cut off
	n      int  // answers to hold in all
	held   int  // so far
	now    int  // of them in this outage
}

// apiAway takes the API server away between the provider's answers and the writes of what they hold, until so
// many were held of a pod that lives on, and of one whose container is killed and starts again meanwhile.
func apiAway(ctx context.Context, s *suite, r *result) (err error) {
	n := s.times(200, 5_000)
	r.limit = "0 lost"
	var victims []*victim
	defer func() {
		for _, v := range victims {
			err = errors.Join(err, v.close())
		}
	}()
	for _, killed := range []bool{false, true} {
		v, err := s.newVictim(ctx, n, killed)
		if err != nil {
			return err
		}
		victims = append(victims, v)
		if err := errors.Join(v.pod.startReady(ctx), v.awaitReady(ctx)); err != nil {
			return fmt.Errorf("%w\n%s", err, v.pod.tail(20))
		}
	}
	outages, away := 0, shortAway
	if s.long {
		away = longAway
	}
	for open := victims; len(open) > 0; outages++ {
		if err := s.outage(ctx, r, open, outages, away); err != nil {
			return err
		}
		away = shortAway
		r.progress("after %d outages, the API server was away for %d answers and %d", outages+1, victims[0].held, victims[1].held)
		open = slices.DeleteFunc(slices.Clone(open), func(v *victim) bool { return v.held >= v.n })
	}
	for _, v := range victims {
		lost, err := v.verify(ctx, pick(r, v.conns, 500))
		if err != nil {
			return err
		}
		v.lose(ctx, r, lost)
	}
	r.tried = fmt.Sprintf("%d + %d answers held, %d outages", victims[0].held, victims[1].held, outages)
	return nil
}

// newVictim has connections and a pod that is not started yet.
func (s *suite) newVictim(ctx context.Context, n int, killed bool) (*victim, error) {
	name := "api-away-alive"
	if killed {
		name = "api-away-killed"
	}
	v, connections := &victim{killed: killed, n: n}, min(n, mostVictims)
	var err error
	v.cell, err = s.newCell(ctx, name, cellOptions{
		teams: awayTeams, connections: connections, clients: (connections + perClient - 1) / perClient,
		rules: rules{lifetime: 2 * time.Hour, rotates: true},
	})
	if err != nil {
		return nil, err
	}
	if v.pod, err = v.newPod(fmt.Sprintf("--concurrency=%d", 2*connections)); err != nil {
		return nil, errors.Join(err, v.close())
	}
	release := v.pod.supervise(ctx)
	v.closers = slices.Insert(v.closers, 0, func() error { release(); return v.pod.kill() })
	return v, nil
}

// outage stops the API server while answers are held back, lets them go, and starts it again later.
func (s *suite) outage(ctx context.Context, r *result, victims []*victim, round int, away time.Duration) error {
	answer := make(chan struct{})
	if err := holdBack(ctx, victims, round, answer); err != nil {
		return err
	}
	if err := s.env.StopAPIServer(); err != nil {
		return err
	}
	close(answer)
	r.progress("the API server is away for %s", away)
	for _, v := range victims {
		if err := v.written(ctx, r); err != nil {
			return err
		}
	}
	if err := outlive(ctx, victims, away); err != nil {
		return err
	}
	if err := s.env.StartAPIServer(); err != nil {
		return err
	}
	for _, v := range victims {
		if err := v.recovered(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// holdBack asks for renewals and keeps their answers back until all are under way, or holdFor is over.
func holdBack(ctx context.Context, victims []*victim, round int, answer chan struct{}) error {
	bounded, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	group, asking := errgroup.WithContext(bounded)
	before := make([]int, len(victims))
	for i, v := range victims {
		v.tokens.set(func(r *rules) { r.hold = answer })
		before[i] = v.tokens.seen()
		group.Go(func() error {
			if err := v.askAll(asking, v.conns, fmt.Sprintf("outage-%d", round)); err != nil {
				return err
			}
			return v.tokens.await(asking, before[i]+len(v.conns))
		})
	}
	if err := group.Wait(); err != nil && (ctx.Err() != nil || bounded.Err() == nil) {
		return err
	}
	for i, v := range victims {
		if v.now = v.tokens.seen() - before[i]; v.now == 0 {
			return fmt.Errorf("%s: no request came within %s\n%s", v.name, holdFor, v.pod.tail(20))
		}
		v.held += v.now
	}
	return nil
}

// written waits until every answer is in the journal.
func (v *victim) written(ctx context.Context, r *result) error {
	if !v.journals {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	var files []string
	err := poll(bounded, 50*time.Millisecond, func() (_ bool, err error) {
		files, err = v.pod.left()
		return len(files) >= v.now, err
	}, func() string { return "not every answer is in the journal" })
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		r.breach("%s: of %d answers %d are in the journal", v.name, v.now, len(files))
		return nil
	}
	return err
}

// outlive lets the time of the outage go by. Some containers are killed in its middle.
func outlive(ctx context.Context, victims []*victim, away time.Duration) error {
	if err := pause(ctx, away/2); err != nil {
		return err
	}
	for _, v := range victims {
		if v.killed {
			if err := v.pod.kill(); err != nil {
				return err
			}
			if err := v.pod.start(""); err != nil {
				return err
			}
		}
	}
	return pause(ctx, away/2)
}

// recovered waits until every token that was held is saved and good. A container that lost its lease ends
// when it has saved all, and is started again.
func (v *victim) recovered(ctx context.Context, r *result) error {
	lost, err := v.saved(ctx)
	if err != nil {
		return err
	}
	v.lose(ctx, r, lost)
	v.pod.expectTrimmed(ctx, r, v.name)
	return errors.Join(ctx.Err(), v.pod.awaitLead(ctx))
}

// lose counts what is lost.
func (v *victim) lose(ctx context.Context, r *result, lost map[*connection]string) {
	r.lost += len(lost)
	r.silent += len(lost)
	for _, note := range v.tell(ctx, lost) {
		r.breach("%s: lost: %s", v.name, note)
	}
	if len(lost) > 0 {
		r.note("%s: the log's end:\n%s", v.name, v.pod.tail(20))
	}
}

// saved waits for the tokens that were held, and returns those that do not come.
func (v *victim) saved(ctx context.Context) (map[*connection]string, error) {
	bounded, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(len(v.conns))*100*time.Millisecond)
	defer cancel()
	open := map[*connection]string{}
	for _, conn := range v.conns {
		open[conn] = "it was not looked at"
	}
	err := poll(bounded, time.Second, func() (bool, error) {
		for conn := range open {
			alive, why, err := v.alive(bounded, conn)
			if err != nil {
				return false, err
			}
			if open[conn] = why; alive {
				delete(open, conn)
			}
		}
		return len(open) == 0, nil
	}, func() string { return "some tokens do not come back" })
	if bounded.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return open, err
}
