// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

const (
	// explainWithin is how long after a crash a connection may stay silent about a token that may be lost.
	explainWithin = time.Minute
	lookEvery     = 500 * time.Millisecond
	// breatheAfter is how old a loss may be before the next crash waits for what becomes of it.
	breatheAfter = 10 * time.Second
)

// loss is a token that was spent when a process died that had not written its successor down.
type loss struct {
	killed time.Time
	// silentFor is how long it took to say so; zero while nothing was said.
	silentFor time.Duration
	cause     string // as the connection has it
}

// losses follows connections from a crash on: whether the spent token is made up for, what is said about
// it, and how soon. Connections that are lost for good get a new grant, so that the run goes on.
type losses struct {
	cell   *cell
	result *result
	// safe is the point from which on no crash of this scenario may lose a token.
	safe crashpoint.Point
	// final: the provider answers no spent token a second time.
	final bool

	mu   sync.Mutex
	open map[*connection]*loss
	// regranted have a new grant that their status does not show yet.
	regranted map[*connection]bool
	rescued   int
	slowest   time.Duration // explanation
	causes    map[string]int
}

func (c *cell) newLosses(r *result, safe crashpoint.Point, final bool) *losses {
	return &losses{cell: c, result: r, safe: safe, final: final, open: map[*connection]*loss{}, regranted: map[*connection]bool{}, causes: map[string]int{}}
}

// crash looks at what a process that lived between began and killed had in its hands.
func (l *losses) crash(ctx context.Context, reached trace, began, killed time.Time) error {
	if err := l.cell.tokens.silent(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.cell.conns {
		is, uid := l.cell.truth(conn), conn.object.UID
		if l.open[conn] != nil || is.ended || is.good == 0 || is.issued.Before(began) {
			continue // it is known, or nothing was spent meanwhile
		}
		if !reached.reached(uid, l.safe, is.issued) && !reached.reached(uid, crashpoint.Saved, is.issued) {
			l.open[conn] = &loss{killed: killed}
		}
	}
	return nil
}

// healthy are the connections about which nothing is open.
func (l *losses) healthy() []*connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.cell.conns), func(conn *connection) bool { return l.open[conn] != nil || l.regranted[conn] })
}

// breathe lets the container live until nothing is open from an earlier crash than the last ones: one that
// is killed again and again before it has started can neither make up for anything nor say anything.
func (l *losses) breathe(ctx context.Context) error {
	return poll(ctx, lookEvery, func() (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, is := range l.open {
			if age := time.Since(is.killed); age > breatheAfter && age < 2*explainWithin {
				return false, nil
			}
		}
		return true, nil
	}, func() string { return "it is still open what became of some connections" })
}

// follow looks at the open losses until ctx ends.
func (l *losses) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		_ = pause(ctx, lookEvery)
	}
	return nil
}

// settled waits until nothing is open.
func (l *losses) settled(ctx context.Context) error {
	return poll(ctx, 200*time.Millisecond, func() (bool, error) { return len(l.healthy()) == len(l.cell.conns), nil },
		func() string { return "it is still open what became of some connections" })
}

func (l *losses) look(ctx context.Context) error {
	now, err := l.cell.list(ctx)
	if err != nil {
		return err
	}
	for _, conn := range l.cell.conns {
		l.mu.Lock()
		is := l.open[conn]
		if _, told := explanation(now[conn.object.UID]); !told {
			delete(l.regranted, conn)
		}
		l.mu.Unlock()
		if is == nil {
			if l.cell.truth(conn).ended {
				l.unexpected(conn, now[conn.object.UID])
			}
			continue
		}
		if err := l.judge(ctx, conn, is, now[conn.object.UID]); err != nil {
			return err
		}
	}
	return nil
}

// judge closes a loss when it is known what became of it.
func (l *losses) judge(ctx context.Context, conn *connection, is *loss, status *v1alpha1.OAuthConnection) error {
	if alive, _, err := l.cell.alive(ctx, conn); err == nil && alive {
		l.close(conn, func() { l.rescued++ })
		return nil
	}
	if is.silentFor == 0 {
		if cause, ok := explanation(status); ok {
			is.silentFor, is.cause = time.Since(is.killed), cause
		}
	}
	overdue := time.Since(is.killed) > l.cell.within(explainWithin)
	switch {
	case is.silentFor > 0 && l.final, overdue && l.cell.truth(conn).ended, overdue && l.final:
	default:
		return nil // it may still be made up for
	}
	l.close(conn, func() {
		l.regranted[conn] = true
		l.result.lost++
		switch {
		case is.silentFor > 0 && is.silentFor <= l.cell.within(explainWithin):
			l.result.explained++
			l.causes[is.cause]++
			l.slowest = max(l.slowest, is.silentFor)
		default:
			l.result.silent++
			l.result.breach("silent: %s, killed at %s", l.name(conn), is.killed.Format(time.RFC3339Nano))
		}
	})
	return l.cell.consent(ctx, conn, time.Now(), time.Hour)
}

// unexpected is a loss that no crash explains.
func (l *losses) unexpected(conn *connection, status *v1alpha1.OAuthConnection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cause, told := explanation(status)
	if !told {
		cause = "nothing is said"
	}
	l.open[conn] = &loss{killed: time.Now()}
	l.result.breach("lost although it was %s: %s: %s", l.safe, l.name(conn), cause)
}

func (l *losses) close(conn *connection, count func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count()
	delete(l.open, conn)
}

func (l *losses) name(conn *connection) string {
	return fmt.Sprintf("%s/%s (%s, family %d)", conn.object.Namespace, conn.object.Name, conn.object.UID, conn.family.Load())
}

// named is how a message shows that it knows why a token may be lost.
var named = regexp.MustCompile(`killed|no answer that can be used|never arrived`)

// particulars of one connection, which are left out where messages are counted.
var particulars = regexp.MustCompile(`; open the address .*|\d{4}-\d\d-\d\dT[\d:]+Z`)

// explanation is what a connection says about a token that may be lost, if it says why.
func explanation(conn *v1alpha1.OAuthConnection) (string, bool) {
	if conn == nil {
		return "", false
	}
	for _, c := range conn.Status.Conditions {
		risky := c.Reason == v1alpha1.ReasonAtRisk || c.Reason == v1alpha1.ReasonReauthorizationRequired
		if risky && named.MatchString(c.Message) {
			return c.Reason + ": " + particulars.ReplaceAllString(c.Message, "…"), true
		}
	}
	return "", false
}
