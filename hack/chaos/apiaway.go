// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// holdFor is how long the provider keeps answers back at most: a request is given up after 30 s.
	holdFor = 22 * time.Second
	// perClient connections share a registration: of one no more than 32 requests are under way.
	perClient = 25
	awayTeams = 20
)

// apiAway takes the API server away between the provider's answers and the writes of what they hold.
func apiAway(ctx context.Context, s *suite, r *result) error {
	n, away := s.times(200, 10_000), 20*time.Second
	if s.long {
		away = 10 * time.Minute
	}
	r.limit = "0 lost"
	held := [2]int{}
	for i, killed := range []bool{false, true} {
		var err error
		if held[i], err = s.outage(ctx, r, n, away, killed); err != nil {
			return err
		}
	}
	r.tried = fmt.Sprintf("%d + %d answers held over %s", held[0], held[1], away)
	if held[0] < n || held[1] < n {
		r.note("of %d refreshes each this machine got as many under way at the same time", n)
	}
	return nil
}

// outage of the API server while answers are under way; the container is killed meanwhile, or not.
func (s *suite) outage(ctx context.Context, r *result, n int, away time.Duration, killed bool) (held int, err error) {
	name := "api-away-alive"
	if killed {
		name = "api-away-killed"
	}
	answer := make(chan struct{})
	c, err := s.newCell(ctx, name, cellOptions{
		teams: awayTeams, connections: n, clients: (n + perClient - 1) / perClient,
		rules: rules{lifetime: 2 * time.Hour, rotates: true, hold: answer},
		token: func(int) (time.Time, time.Duration) { return time.Now().Add(-100 * time.Minute), 2 * time.Hour }, // due
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, err := c.newPod(fmt.Sprintf("--concurrency=%d", 2*n), "--log-level=error")
	if err != nil {
		return 0, err
	}
	if err := p.startReady(ctx); err != nil {
		return 0, err
	}
	if held, err = c.cutOff(ctx, r, p, n, answer); err != nil {
		return held, errors.Join(err, p.kill())
	}
	if err := p.outlive(ctx, away, killed); err != nil {
		return held, err
	}
	if err := s.env.StartAPIServer(); err != nil {
		return held, err
	}
	return held, errors.Join(c.recovered(ctx, r, p, n), p.revive(ctx), p.stop(ctx))
}

// cutOff stops the API server while n answers are held back, and lets them go then.
func (c *cell) cutOff(ctx context.Context, r *result, p *pod, n int, answer chan struct{}) (held int, err error) {
	if err := c.firstRefresh(ctx, 0); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	bounded, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	if err := c.tokens.await(bounded, n); err != nil && ctx.Err() != nil {
		return 0, err
	}
	held = c.tokens.seen()
	if err := c.env.StopAPIServer(); err != nil {
		return held, err
	}
	close(answer)
	r.progress("%s: the API server is away, %d answers are on their way", c.name, held)
	bounded, cancel = context.WithTimeout(ctx, startWithin)
	defer cancel()
	err = poll(bounded, 50*time.Millisecond, func() (bool, error) {
		files, err := p.left()
		return len(files) >= held || !c.journals, err
	}, func() string { return "not every answer is in the journal" })
	if err != nil && ctx.Err() == nil {
		files, _ := p.left()
		r.breach("%s: of %d answers %d are in the journal", c.name, held, len(files))
		err = nil
	}
	return held, err
}

// outlive lets the time of the outage go by. The container may be killed in its middle, and starts again.
func (p *pod) outlive(ctx context.Context, away time.Duration, killed bool) error {
	end, killAt := time.Now().Add(away), time.Now().Add(away/2)
	for time.Now().Before(end) {
		if killed && time.Now().After(killAt) {
			killed = false
			if err := p.kill(); err != nil {
				return err
			}
		}
		if err := errors.Join(p.revive(ctx), pause(ctx, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// recovered waits until every token that was held is saved, and looks whether it is good.
func (c *cell) recovered(ctx context.Context, r *result, p *pod, n int) error {
	limit := time.Minute + time.Duration(n)*50*time.Millisecond
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dead, why := 0, ""
	err := poll(bounded, time.Second, func() (bool, error) {
		if err := p.revive(ctx); err != nil {
			return false, err
		}
		dead = 0
		for _, conn := range c.conns {
			alive, is, err := c.alive(ctx, conn)
			if err != nil {
				return false, err
			}
			if !alive || c.truth(conn).good == 0 {
				dead++
				why = conn.object.Name + ": " + is
			}
			if dead > 0 && time.Until(deadlineOf(bounded)) > 5*time.Second {
				return false, nil // later
			}
		}
		return dead == 0, nil
	}, func() string { return why })
	if err != nil && ctx.Err() == nil {
		r.lost += dead
		r.silent += dead
		r.breach("%s: %d connections are lost, such as %s\n%s", c.name, dead, why, p.tail(20))
		return nil
	}
	if err != nil {
		return err
	}
	sample := pick(r, c.conns, 500)
	lost, err := c.verify(ctx, sample, settleWithin)
	r.lost += len(lost)
	for _, note := range c.tell(ctx, lost) {
		r.breach("%s: lost: %s", c.name, note)
	}
	return err
}

func deadlineOf(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}
