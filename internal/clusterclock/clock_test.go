// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterclock

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// node is a machine whose wall clock can be set and that can sleep: its local moments are made of plain
// times, so that wall and monotonic clock go together unless leap says otherwise.
type node struct{ now time.Time }

func (n *node) local() time.Time     { return n.now }
func (n *node) pass(d time.Duration) { n.now = n.now.Add(d) }
func start() time.Time               { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// answer lets the clock see an answer that took a while to come.
func answer(c *Clock, n *node, server time.Time, took time.Duration) {
	sent := n.now
	n.pass(took)
	c.hear(sent, n.now, server.Add(took/2).Truncate(time.Second))
}

func TestTheNodesClockCountsForNothingOnceTheAPIServerHasAnswered(t *testing.T) {
	for _, skew := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute, 20 * 365 * 24 * time.Hour} {
		n := &node{now: start().Add(skew)}
		c := New(n.local)
		if got := c.Now(); !got.Equal(n.now) {
			t.Errorf("before any answer it is %s, not the node's %s", got, n.now)
		}
		answer(c, n, start(), 10*time.Millisecond)
		if off := c.Now().Sub(start().Add(10 * time.Millisecond)); off.Abs() > time.Second {
			t.Errorf("with a node %s ahead the time is %s off", skew, off)
		}
		if off := c.Ahead() - skew; off.Abs() > time.Second {
			t.Errorf("a node %s ahead is said to be %s ahead", skew, c.Ahead())
		}
	}
}

func TestAnswersNarrowTheTimeToAFewMilliseconds(t *testing.T) {
	n := &node{now: start().Add(time.Hour)}
	c := New(n.local)
	server := start().Add(437 * time.Millisecond)
	for range 200 {
		answer(c, n, server, 2*time.Millisecond)
		n.pass(911 * time.Millisecond)
		server = server.Add(913 * time.Millisecond)
	}
	if off := c.Now().Sub(server); off.Abs() > 20*time.Millisecond {
		t.Errorf("after 200 answers the time is %s off", off)
	}
}

func TestDriftMovesTheTimeGentlyAndIsNoJump(t *testing.T) {
	n := &node{now: start()}
	jumps := make(chan time.Duration, 1)
	c := New(n.local)
	c.OnJump(func(by time.Duration) { jumps <- by })
	server, last := start(), time.Time{}
	for range 20_000 { // five hours in which the node loses a second in a thousand
		answer(c, n, server, time.Millisecond)
		now := c.Now()
		if !last.IsZero() && now.Before(last) {
			t.Fatalf("the time went back from %s to %s", last, now)
		}
		last = now
		n.pass(899 * time.Millisecond)
		server = server.Add(900*time.Millisecond + 900*time.Microsecond)
	}
	if off := c.Now().Sub(server); off.Abs() > time.Second {
		t.Errorf("after five hours the time is %s off", off)
	}
	if len(jumps) > 0 {
		t.Errorf("drift was told as a jump by %s", <-jumps)
	}
}

func TestAMachineThatSleptHearsTheTimeWithTheNextAnswerAndIsWoken(t *testing.T) {
	n := &node{now: start()}
	jumps := make(chan time.Duration, 2)
	c := New(n.local)
	c.OnJump(func(by time.Duration) { jumps <- by })
	answer(c, n, start(), time.Millisecond)
	// The monotonic clock stands still while a machine sleeps.
	answer(c, n, start().Add(8*time.Hour), time.Millisecond)
	if off := c.Now().Sub(start().Add(8 * time.Hour)); off.Abs() > time.Second {
		t.Errorf("after the sleep the time is %s off", off)
	}
	if by := <-jumps; (by - 8*time.Hour).Abs() > time.Second {
		t.Errorf("a jump by %s was told", by)
	}
	answer(c, n, start(), time.Millisecond)
	answer(c, n, start().Add(8*time.Hour), time.Millisecond)
	select {
	case by := <-jumps:
		t.Errorf("another jump, by %s, was told within a minute", by)
	default:
	}
}

func TestTheFirstAnswerIsNoJump(t *testing.T) {
	n := &node{now: start()}
	jumps := make(chan time.Duration, 1)
	c := New(n.local)
	c.OnJump(func(by time.Duration) { jumps <- by })
	answer(c, n, start().Add(time.Hour), time.Millisecond)
	answer(c, n, start().Add(time.Hour), time.Millisecond)
	select {
	case by := <-jumps:
		t.Errorf("a jump by %s was told", by)
	default:
	}
}

func TestEveryAnswerOfTheAPIServerIsHeard(t *testing.T) {
	date, author := "Fri, 02 Jan 2026 03:04:05 GMT", signature
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date)
		w.Header().Set(author, "0b6cbcbf")
		w.WriteHeader(http.StatusConflict)
	}))
	defer server.Close()
	c := New(time.Now)
	ask := func() {
		t.Helper()
		response, err := (&http.Client{Transport: c.Observe(http.DefaultTransport)}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	ask()
	if off := c.Now().Sub(start()); off.Abs() > 2*time.Second {
		t.Errorf("the time is %s off", off)
	}
	date, author = "Fri, 02 Jan 2026 23:04:05 GMT", "X-Gateway"
	ask()
	if off := c.Now().Sub(start()); off.Abs() > 5*time.Second {
		t.Errorf("a proxy's own answer moved the time by %s", off)
	}
	date, author = "in the morning", signature
	ask()
	if off := c.Now().Sub(start()); off.Abs() > 5*time.Second {
		t.Errorf("a header that is no date moved the time by %s", off)
	}
}
