// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

const (
	// pointConnections of each case; they are refreshed one after the other, so that a crash meets one.
	pointConnections = 3
	// pointWorkers cases are prepared at the same time; any number waits for its end.
	pointWorkers = 4
	// verdictWithin is an intent's lifetime (45 s) and what a busy machine adds.
	verdictWithin = 2 * time.Minute
)

// death is a way to die at a point, and what comes after it.
type death struct {
	point  crashpoint.Point
	signal string // KILL or TERM
	// replaced: another pod follows, which does not have the journal; else the container starts again.
	replaced bool
	round    int
}

func (d death) String() string {
	after := "container restarted"
	if d.replaced {
		after = "pod replaced"
	}
	return fmt.Sprintf("SIG%s at %s, %s, round %d", d.signal, d.point, after, d.round+1)
}

// before is where an earlier process has to die for this point to be reached at all.
func (d death) before() crashpoint.Point {
	switch d.point {
	case crashpoint.TakenOver:
		return crashpoint.IntentWritten
	case crashpoint.Replaying:
		return crashpoint.Journalled
	default:
		return ""
	}
}

// mayLose says whether the new token is in this pod alone, or nowhere but in memory.
func (d death) mayLose() bool {
	switch {
	case d.signal == "TERM":
		return false
	case d.point == crashpoint.Answered:
		return true
	default:
		return d.replaced && slices.Contains([]crashpoint.Point{crashpoint.Journalled, crashpoint.Kept, crashpoint.Replaying}, d.point)
	}
}

// points kills the operator at every step, at a provider without a grace.
func points(ctx context.Context, s *suite, r *result) error {
	var cases []death
	for round := range s.times(1, 10) {
		for _, point := range crashpoint.Points() {
			for _, signal := range []string{"KILL", "TERM"} {
				cases = append(cases, death{point, signal, false, round}, death{point, signal, true, round})
			}
		}
	}
	r.limit = "lost only at answered, or with the pod before saved"
	r.tried = fmt.Sprintf("%d deaths at %d points", len(cases), len(crashpoint.Points()))
	prepared := make(chan struct{}, pointWorkers)
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	lostAt, slowest := map[string]int{}, time.Duration(0)
	for i, d := range cases {
		prepared <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		ready := sync.OnceFunc(func() { <-prepared })
		group.Go(func() error {
			defer ready()
			v, err := s.die(ctx, r, d, i, ready)
			if err != nil {
				return fmt.Errorf("%s: %w", d, err)
			}
			mu.Lock()
			defer mu.Unlock()
			r.lost, r.explained, r.silent = r.lost+v.lost, r.explained+v.explained, r.silent+v.silent
			slowest = max(slowest, v.slowest)
			if v.lost > 0 {
				lostAt[strings.TrimSuffix(d.String(), fmt.Sprintf(", round %d", d.round+1))]++
			}
			return nil
		})
		if (i+1)%52 == 0 {
			r.progress("%d of %d", i+1, len(cases))
		}
	}
	err := group.Wait()
	for what, count := range lostAt {
		r.note("lost and said so, %d times: %s", count, what)
	}
	slices.Sort(r.notes)
	r.note("the slowest explanation took %.1f s", slowest.Seconds())
	return err
}

// verdict of one case.
type verdict struct {
	lost, explained, silent int
	slowest                 time.Duration // explanation
}

// die runs one case. ready is called when the rest is waiting.
func (s *suite) die(ctx context.Context, r *result, d death, number int, ready func()) (v verdict, err error) {
	c, err := s.newCell(ctx, fmt.Sprintf("points-%04d", number), cellOptions{
		connections: pointConnections, rules: rules{lifetime: time.Hour, rotates: true},
	})
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	p, err := c.newPod("--concurrency=1")
	if err != nil {
		return v, err
	}
	if err := c.askAll(ctx, c.conns, "first"); err != nil {
		return v, err
	}
	if before := d.before(); before != "" {
		if err := p.start(fmt.Sprintf("%s:1:KILL", before)); err != nil {
			return v, err
		}
		if err := p.ended(ctx, startWithin); err != nil {
			return v, errors.Join(err, p.kill())
		}
	}
	if err := c.bring(ctx, p, d, number); err != nil {
		return v, fmt.Errorf("%w\n%s", err, p.tail(20))
	}
	died := time.Now()
	if d.replaced {
		if p, err = c.newPod("--concurrency=1"); err != nil {
			return v, err
		}
	}
	if err := p.startReady(ctx); err != nil {
		return v, err
	}
	ready()
	defer p.supervise(ctx)()
	v, err = c.verdict(ctx, r, d, died)
	if err == nil && v.silent == 0 {
		p.expectTrimmed(ctx, r, d.String())
	}
	if v.silent > 0 || err != nil && ctx.Err() == nil {
		r.note("%s: the log's end:\n%s", d, p.tail(30))
	}
	return v, errors.Join(err, p.stop(ctx))
}

// bring brings a process to its end at the point.
func (c *cell) bring(ctx context.Context, p *pod, d death, number int) error {
	count := 1
	switch d.point {
	case crashpoint.TakenOver, crashpoint.Replaying, crashpoint.Kept, crashpoint.Refused:
	default:
		count += number % pointConnections
	}
	lift := func() error { return nil }
	switch d.point {
	case crashpoint.Refused:
		c.tokens.set(func(r *rules) { r.failing = 1 })
		lift = func() error { c.tokens.set(func(r *rules) { r.failing = 0 }); return nil }
	case crashpoint.Kept:
		var err error
		if lift, err = c.shutGate(ctx, p); err != nil {
			return err
		}
	}
	if err := p.start(fmt.Sprintf("%s:%d:%s", d.point, count, d.signal)); err != nil {
		return err
	}
	if d.signal == "TERM" && d.point == crashpoint.Kept {
		// It ends only when the API server has taken what it keeps.
		if err := p.awaitLog(ctx, "a record is not saved yet"); err != nil {
			return errors.Join(err, p.kill())
		}
		if err := lift(); err != nil {
			return err
		}
	}
	if err := p.ended(ctx, startWithin); err != nil {
		return errors.Join(err, p.kill())
	}
	return lift()
}

// verdict waits until it is known of every connection whether it is lost, and what is said about it.
func (c *cell) verdict(ctx context.Context, r *result, d death, died time.Time) (v verdict, err error) {
	bounded, cancel := context.WithTimeout(ctx, verdictWithin)
	defer cancel()
	var open string
	said := map[*connection]time.Duration{}
	err = poll(bounded, time.Second, func() (bool, error) {
		now, err := c.list(ctx)
		if err != nil {
			return false, err
		}
		v, open = verdict{}, ""
		for _, conn := range c.conns {
			_, told := explanation(now[conn.object.UID])
			if told && said[conn] == 0 {
				said[conn] = time.Since(died)
			}
			alive, why, err := c.alive(ctx, conn)
			switch renewed := c.truth(conn).good > 0; {
			case err != nil:
				return false, err
			case alive && renewed:
			case c.truth(conn).ended && told:
				v.lost++
			default:
				open = fmt.Sprintf("%s: %s (renewed: %t)", conn.object.Name, why, renewed)
			}
		}
		return open == "", nil
	}, func() string { return open })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		r.breach("%s: after %s: %s", d, verdictWithin, open)
		return verdict{lost: 1, silent: 1}, nil
	}
	for conn, after := range said {
		if !c.truth(conn).ended {
			continue
		}
		v.slowest = max(v.slowest, after)
		if v.explained++; after > c.within(explainWithin) {
			r.breach("%s: said only after %.0f s", d, after.Seconds())
		}
	}
	if v.lost > 0 && !d.mayLose() || v.lost > 1 {
		r.breach("%s: %d lost", d, v.lost)
	}
	return v, err
}

// shutGate puts a gate before the pod's API server that is shut as soon as the provider has answered
// something, and returns what opens it again.
func (c *cell) shutGate(ctx context.Context, p *pod) (func() error, error) {
	g, err := openGate(c.identity)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, g.close)
	p.config = g.config
	answer, came := make(chan struct{}), c.tokens.seen()
	c.tokens.set(func(r *rules) { r.hold = answer })
	go func() {
		defer close(answer)
		if c.tokens.await(ctx, came+1) == nil {
			g.shut.Store(true)
		}
	}()
	return sync.OnceValue(func() error {
		c.tokens.set(func(r *rules) { r.hold = nil })
		g.shut.Store(false)
		p.config = c.identity
		return nil
	}), nil
}
