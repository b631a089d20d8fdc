// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

// crossroads is a controller in small: a work queue, workers, and connections that each need some tokens.
// Who waits is added to the queue by nothing but pace, so a lost wake-up leaves somebody without.
type crossroads struct {
	*testing.T
	turns *Turns
	lanes *Lanes
	queue workqueue.TypedInterface[Key]

	mu   sync.Mutex
	left map[Key]int // tokens that each still needs
	// gone are connections that were deleted: nobody may find them.
	gone map[Key]bool
	done chan struct{}
}

// Every kind of ending at random moments, over and over: in the end everybody has what it needs and
// nothing is kept. After each step all who may go have to be called, and something has to be under way,
// or a timer set, that will call the others.
func TestNobodyWhoWaitsIsForgotten(t *testing.T) {
	const workers, namespaces, perNamespace, tokens = 8, 6, 12, 3
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			c := &crossroads{
				T:     t,
				queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[Key]{}),
				left:  map[Key]int{}, gone: map[Key]bool{}, done: make(chan struct{}),
			}
			c.turns, c.lanes = NewTurns(workers, c.queue.Add), NewLanes(clock.RealClock{}, c.queue.Add)
			for n := range namespaces {
				for i := range perNamespace {
					c.left[key(fmt.Sprint("team-", n), i)] = tokens
				}
			}
			for k := range c.left {
				c.queue.Add(k)
			}
			var working sync.WaitGroup
			for i := range uint64(workers) {
				working.Go(func() { c.work(rand.New(rand.NewPCG(seed, i))) })
			}
			working.Go(func() { c.deleteSome(rand.New(rand.NewPCG(seed, 1000))) })
			<-c.done
			time.Sleep(time.Minute) // who was woken once more than it had to be goes its way
			c.queue.ShutDown()
			working.Wait()
			if c.turns.share.taken != 0 || c.turns.share.waiting != 0 || len(c.turns.waiters) != 0 || len(c.turns.share.members) != 0 {
				t.Errorf("seed %d: turns are left: %+v", seed, c.turns.share)
			}
			if len(c.lanes.waiters) != 0 || c.lanes.Waiting() != 0 {
				t.Errorf("seed %d: %d wait in lanes", seed, len(c.lanes.waiters))
			}
			for route, l := range c.lanes.lanes {
				if len(l.share.members) != 0 || l.share.taken != 0 {
					t.Errorf("seed %d: places are left in %v: %+v", seed, route, l.share)
				}
			}
		})
	}
}

func (c *crossroads) work(random *rand.Rand) {
	for {
		k, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		c.pass(k, random)
		c.queue.Done(k)
	}
}

// pass is what the reconciler does.
func (c *crossroads) pass(k Key, random *rand.Rand) {
	defer c.check()
	if c.isGone(k) {
		c.turns.Forget(k)
		c.lanes.Forget(k)
		return
	}
	if !c.turns.Take(k, time.Now().Add(time.Duration(random.IntN(1000))*time.Second)) {
		return
	}
	defer c.check()
	defer c.turns.Give(k)
	defer c.check()
	defer c.lanes.Leave(k)
	c.check()
	time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
	if random.IntN(20) == 0 {
		c.queue.Add(k) // an error of the API server: again, and the lane is not asked
		return
	}
	if !c.needs(k) {
		return // it was woken once more than it had to be
	}
	route := Route{Endpoint: fmt.Sprint("https://", random.IntN(2)), Client: fmt.Sprint(random.IntN(3))}
	permit, _ := c.lanes.Ask(k, route, time.Now().Add(time.Duration(random.IntN(1000))*time.Second))
	c.check()
	if permit == nil {
		if random.IntN(10) == 0 {
			c.queue.Add(k) // a change of the object wakes it, too
		}
		return
	}
	time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
	outcomes := []Outcome{{}, {Verdict: Succeeded}, {Verdict: Succeeded}, {Verdict: Succeeded}, {Verdict: Succeeded}, {Verdict: Answered},
		{Verdict: Failed}, {Verdict: Failed}, {Verdict: Failed, RetryAfter: time.Second}, {Verdict: Throttled}, {Verdict: Throttled, RetryAfter: 2 * time.Second}}
	outcome := outcomes[random.IntN(len(outcomes))]
	permit.End(outcome)
	c.check()
	if !c.got(k, outcome.Verdict == Succeeded) {
		c.queue.Add(k)
	}
}

// deleteSome connections while they wait, run or are called.
func (c *crossroads) deleteSome(random *rand.Rand) {
	for range 60 {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		c.mu.Lock()
		var victim Key
		for victim = range c.left {
			break
		}
		delete(c.left, victim)
		c.gone[victim] = true
		c.queue.Add(victim) // its deletion is an event
		c.finishIfEmpty()
		c.mu.Unlock()
		if random.IntN(10) == 0 {
			c.lanes.Review()
		}
	}
}

func (c *crossroads) isGone(k Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone[k]
}

// needs says whether a connection waits for tokens still.
func (c *crossroads) needs(k Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left[k] > 0
}

// got says whether a connection has all it needs.
func (c *crossroads) got(k Key, token bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	left, found := c.left[k]
	if token && found {
		left--
		c.left[k] = left
	}
	if found && left > 0 {
		return false
	}
	delete(c.left, k)
	c.finishIfEmpty()
	return true
}

func (c *crossroads) finishIfEmpty() {
	if len(c.left) == 0 {
		select {
		case <-c.done:
		default:
			close(c.done)
		}
	}
}

// check fails where somebody who may go was not called, or where nothing will call somebody who waits.
func (c *crossroads) check() {
	c.turns.mu.Lock()
	for namespace, m := range c.turns.share.members {
		if free := c.turns.share.places - c.turns.share.taken; len(m.line) > 0 && m.taken < free {
			c.Errorf("%s holds %d turns, %d are free, and %d wait", namespace, m.taken, free, len(m.line))
		}
	}
	c.turns.mu.Unlock()
	c.lanes.mu.Lock()
	defer c.lanes.mu.Unlock()
	for _, l := range c.lanes.lanes {
		if l.share.waiting > 0 {
			c.checkLane(l, time.Now())
		}
	}
}

func (c *crossroads) checkLane(l *lane, now time.Time) {
	const tick = time.Millisecond // the least time of a timer
	at, soon := l.nextAt(now), !l.fires.Before(now) && !l.fires.After(now.Add(tick))
	if !now.Before(l.opensAt(now)) {
		for namespace, m := range l.share.members {
			if len(m.line) > 0 && m.taken < l.share.places-l.share.taken && l.passes(namespace, now) && !soon {
				c.Errorf("%s may go in %v and was not called", namespace, l.route)
			}
		}
	}
	if !at.IsZero() && (l.fires.Before(now) || l.fires.After(at.Add(tick))) {
		c.Errorf("%v opens at %s, and nobody looks before %s", l.route, at, l.fires)
	}
	under := 0
	for other := range l.endpoint.lanes {
		under += other.share.taken
	}
	if at.IsZero() && under == 0 && !soon {
		c.Errorf("%d wait in %v for nothing", l.share.waiting, l.route)
	}
}
