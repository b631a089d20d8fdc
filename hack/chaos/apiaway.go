// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// holdFor is how long the provider keeps answers back at most: a request is given up after 30 s.
	holdFor = 22 * time.Second
	// perClient connections share a registration: of one no more than 32 requests are under way.
	perClient = 25
	awayTeams = 20
)

// victim is an installation that is cut off from the API server.
type victim struct {
	*cell
	pod    *pod
	killed bool // while it is cut off
	answer chan struct{}
	held   int
}

// apiAway takes the API server away between the provider's answers and the writes of what they hold, once
// with a pod that lives on and once with one whose container is killed and starts again meanwhile.
func apiAway(ctx context.Context, s *suite, r *result) error {
	n, away := s.times(200, 10_000), 20*time.Second
	outages := [][]bool{{false, true}} // who is killed: both at once
	if s.long {
		away, outages = 10*time.Minute, [][]bool{{false}, {true}} // this machine holds one
	}
	r.limit = "0 lost"
	var held []string
	for _, kills := range outages {
		var victims []*victim
		for _, killed := range kills {
			v, err := s.newVictim(ctx, n, killed)
			if err != nil {
				return err
			}
			victims = append(victims, v)
		}
		if err := s.outage(ctx, r, victims, away); err != nil {
			return err
		}
		for _, v := range victims {
			held = append(held, strconv.Itoa(v.held))
			if v.held < n {
				r.note("%s: of %d refreshes this machine got %d under way at the same time", v.name, n, v.held)
			}
		}
	}
	r.tried = fmt.Sprintf("%s answers held over %s", strings.Join(held, " + "), away)
	return nil
}

// newVictim has n connections, all due, and a pod that is not started yet.
func (s *suite) newVictim(ctx context.Context, n int, killed bool) (*victim, error) {
	name := "api-away-alive"
	if killed {
		name = "api-away-killed"
	}
	v := &victim{killed: killed, answer: make(chan struct{})}
	due := func(int) (time.Time, time.Duration) { return time.Now().Add(-100 * time.Minute), 2 * time.Hour }
	var err error
	v.cell, err = s.newCell(ctx, name, cellOptions{
		teams: awayTeams, connections: n, clients: (n + perClient - 1) / perClient, token: due,
		rules: rules{lifetime: 2 * time.Hour, rotates: true, hold: v.answer},
	})
	if err != nil {
		return nil, err
	}
	v.pod, err = v.newPod(fmt.Sprintf("--concurrency=%d", 2*n))
	return v, err
}

// outage stops the API server while answers are held back, lets them go, and starts it again later.
func (s *suite) outage(ctx context.Context, r *result, victims []*victim, away time.Duration) (err error) {
	for _, v := range victims {
		if err := v.pod.start(""); err != nil {
			return err
		}
		release := v.pod.supervise(ctx)
		defer func() {
			release()
			err = errors.Join(err, v.pod.kill(), v.close())
		}()
	}
	for _, v := range victims {
		if err := v.firstRefresh(ctx, 0); err != nil {
			return fmt.Errorf("%w\n%s", err, v.pod.tail(20))
		}
	}
	bounded, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	for _, v := range victims {
		if err := v.tokens.await(bounded, len(v.conns)); err != nil && ctx.Err() != nil {
			return err
		}
	}
	for _, v := range victims {
		v.held = v.tokens.seen()
	}
	if err := s.env.StopAPIServer(); err != nil {
		return err
	}
	for _, v := range victims {
		close(v.answer)
	}
	r.progress("the API server is away")
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
	r.progress("the API server is back")
	for _, v := range victims {
		if err := v.recovered(ctx, r); err != nil {
			return err
		}
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
		return len(files) >= v.held, err
	}, func() string { return "not every answer is in the journal" })
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		r.breach("%s: of %d answers %d are in the journal", v.name, v.held, len(files))
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

// recovered waits until every token that was held is saved and good, and uses some. A container that lost
// its lease ends when it has saved all, and is started again.
func (v *victim) recovered(ctx context.Context, r *result) error {
	lost, err := v.saved(ctx)
	if err == nil && len(lost) == 0 {
		lost, err = v.verify(ctx, pick(r, v.conns, 500))
	}
	if err != nil {
		return err
	}
	r.lost += len(lost)
	r.silent += len(lost)
	for _, note := range v.tell(ctx, lost) {
		r.breach("%s: lost: %s", v.name, note)
	}
	if len(lost) > 0 {
		r.note("%s: the log's end:\n%s", v.name, v.pod.tail(20))
	}
	v.pod.expectTrimmed(ctx, r, v.name)
	return ctx.Err()
}

// saved waits for the tokens that were held, and returns those that do not come.
func (v *victim) saved(ctx context.Context) (map[*connection]string, error) {
	bounded, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(len(v.conns))*50*time.Millisecond)
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
			if open[conn] = why; alive && v.truth(conn).good > 0 {
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
