// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

const (
	// targets of random kills, and how many of them are refreshed around each.
	killConnections, killBurst = 100, 24
	// killWindow after the first refresh is when the signal comes, at most.
	killWindow = 700 * time.Millisecond
	// settleWithin bounds what follows the last kill.
	settleWithin = 2 * time.Minute
)

// dawdling is a provider whose requests take long enough for signals to meet them in every state.
func dawdling(grace time.Duration) rules {
	return rules{lifetime: time.Hour, rotates: true, grace: grace, before: 60 * time.Millisecond, after: 60 * time.Millisecond}
}

// sigterm ends the leader again and again while a replica in another pod stands by, as rollouts do.
func sigterm(ctx context.Context, s *suite, r *result) (err error) {
	cycles := s.times(25, 1000)
	r.limit = "0 lost"
	c, err := s.newCell(ctx, r.name, cellOptions{teams: 4, connections: killConnections, rules: dawdling(0)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := c.newPod()
	if err != nil {
		return err
	}
	if err := leader.startReady(ctx); err != nil {
		return err
	}
	for i := range cycles {
		if leader, err = c.rollOver(ctx, r, leader, i); err != nil {
			return fmt.Errorf("SIGTERM %d: %w", i+1, err)
		}
		if (i+1)%25 == 0 {
			r.progress("%d of %d", i+1, cycles)
		}
	}
	return errors.Join(c.lastWords(ctx, r, c.conns, fmt.Sprintf("%d signals", cycles)), leader.stop(ctx))
}

// rollOver sends SIGTERM to the leader at a random moment while refreshes run, and returns the next one.
func (c *cell) rollOver(ctx context.Context, r *result, leader *pod, cycle int) (*pod, error) {
	// It leads before another one may.
	if err := leader.awaitLead(ctx); err != nil {
		return nil, err
	}
	next, err := c.newPod()
	if err != nil {
		return nil, err
	}
	if err := next.startReady(ctx); err != nil {
		return nil, err
	}
	burst, came := pick(r, c.conns, killBurst), c.tokens.seen()
	if err := c.askAll(ctx, burst, fmt.Sprintf("cycle-%d", cycle)); err != nil {
		return nil, err
	}
	if err := c.firstRefresh(ctx, came); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, leader.tail(20))
	}
	if err := pause(ctx, time.Duration(r.random.Int64N(int64(killWindow)))); err != nil {
		return nil, err
	}
	if err := leader.stop(ctx); err != nil {
		return nil, err
	}
	return next, c.cleanlyLeft(ctx, r, leader, burst)
}

// cleanlyLeft looks at what a process that ended by itself left behind: nothing in its journal, and no
// attempt that others would have to wait for and to call interrupted.
func (c *cell) cleanlyLeft(ctx context.Context, r *result, p *pod, conns []*connection) error {
	left, err := p.left()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		r.breach("a process that ended by SIGTERM left %d records in its journal", len(left))
	}
	for _, conn := range conns {
		record, err := c.records.Get(ctx, conn.object)
		if err != nil {
			return err
		}
		if i := record.Intent; i != nil && strings.HasPrefix(i.Holder, p.id()+"/") {
			r.breach("a process that ended by SIGTERM left an intent on %s/%s: it is renewed only after %s, and called at risk",
				conn.object.Namespace, conn.object.Name, i.Deadline.Format(time.TimeOnly))
		}
	}
	return nil
}

// firstRefresh waits for a token request after so many others.
func (c *cell) firstRefresh(ctx context.Context, came int) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return c.tokens.await(ctx, came+1)
}

// lastWords tells what is left of the connections after the last signal.
func (c *cell) lastWords(ctx context.Context, r *result, conns []*connection, signals string) error {
	lost, err := c.verify(ctx, conns)
	if err != nil {
		return err
	}
	now, err := c.list(ctx)
	if err != nil {
		return err
	}
	for conn := range lost {
		r.lost++
		if _, ok := explanation(now[conn.object.UID]); ok {
			r.explained++
		} else {
			r.silent++
		}
	}
	for _, note := range c.tell(ctx, lost) {
		r.breach("lost: %s", note)
	}
	counts := c.tokens.counts(0)
	r.tried = fmt.Sprintf("%s, %d refreshes", signals, counts[answered])
	return nil
}

func sigkillGrace(ctx context.Context, s *suite, r *result) error {
	r.limit = "0 lost"
	c, err := s.newCell(ctx, r.name, cellOptions{
		teams: 4, connections: killConnections, rules: dawdling(time.Minute), window: time.Minute,
	})
	if err != nil {
		return err
	}
	return errors.Join(c.killed(ctx, r, c.newLosses(r, crashpoint.Journalled, false)), c.close())
}

func sigkillNoGrace(ctx context.Context, s *suite, r *result) error {
	r.limit = fmt.Sprintf("lost only unjournalled, each said within %s", s.within(explainWithin))
	c, err := s.newCell(ctx, r.name, cellOptions{teams: 4, connections: killConnections, rules: dawdling(0)})
	if err != nil {
		return err
	}
	return errors.Join(c.killed(ctx, r, c.newLosses(r, crashpoint.Journalled, true)), c.close())
}

// killed sends SIGKILLs to a pod whose container is started again each time, with its journal.
func (c *cell) killed(ctx context.Context, r *result, l *losses) error {
	cycles := c.times(25, 1000)
	p, err := c.newPod()
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	group, watching := errgroup.WithContext(watching)
	group.Go(func() error { return l.follow(watching) })
	for i := range cycles {
		if err := c.killOnce(watching, r, l, p, i); err != nil {
			return errors.Join(fmt.Errorf("SIGKILL %d: %w\n%s", i+1, err, p.tail(20)), p.kill())
		}
		if (i+1)%25 == 0 {
			r.progress("%d of %d; %d made up for, %d lost and explained, %d silent", i+1, cycles, l.rescued, r.explained, r.silent)
		}
	}
	err = c.afterKills(watching, r, l, p, cycles)
	stop()
	return errors.Join(err, group.Wait())
}

// killOnce starts the container with refreshes that wait for it, and kills it while they run.
func (c *cell) killOnce(ctx context.Context, r *result, l *losses, p *pod, cycle int) error {
	if err := c.askAll(ctx, pick(r, l.healthy(), killBurst), fmt.Sprintf("cycle-%d", cycle)); err != nil {
		return err
	}
	came, began := c.tokens.seen(), time.Now()
	if err := p.start(""); err != nil {
		return err
	}
	if r.random.IntN(10) > 0 { // else it may die while it starts and replays
		if err := c.firstRefresh(ctx, came); err != nil {
			return err
		}
	}
	if err := errors.Join(pause(ctx, time.Duration(r.random.Int64N(int64(killWindow)))), l.breathe(ctx)); err != nil {
		return err
	}
	if err := p.kill(); err != nil {
		return err
	}
	killed := time.Now()
	reached, err := readTrace(p.traceFile())
	if err != nil {
		return err
	}
	return l.crash(ctx, reached, began, killed)
}

// afterKills lets the container live, and looks at what is left.
func (c *cell) afterKills(ctx context.Context, r *result, l *losses, p *pod, cycles int) error {
	if err := p.startReady(ctx); err != nil {
		return err
	}
	defer p.supervise(ctx)()
	bounded, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := l.settled(bounded); err != nil {
		for conn := range l.open {
			r.breach("open: %s", l.name(conn))
		}
	}
	if err := c.lastWords(ctx, r, l.healthy(), fmt.Sprintf("%d kills", cycles)); err != nil {
		return err
	}
	r.note("%d tokens that were not synced when the kill came were made up for; %d lost; the slowest explanation took %.1f s", l.rescued, r.lost, l.slowest.Seconds())
	for cause, count := range l.causes {
		r.note("said %d times: %s", count, cause)
	}
	if l.safe == crashpoint.Journalled && !l.final && r.lost > 0 {
		r.breach("%d tokens are lost inside the grace", r.lost)
	}
	return p.stop(ctx)
}

// pick takes some of the connections at random.
func pick(r *result, conns []*connection, count int) []*connection {
	var list []*connection
	for _, i := range r.random.Perm(len(conns))[:min(count, len(conns))] {
		list = append(list, conns[i])
	}
	return list
}
