// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// setBack is a clock that somebody sets back or forward.
type setBack struct {
	clock.PassiveClock
	by atomic.Int64
}

func (c *setBack) Now() time.Time { return time.Now().Add(-time.Duration(c.by.Load())) }

func TestAClockThatIsSetMakesNobodyWaitForEver(t *testing.T) {
	onTheRoad(t, func(r *road) {
		set := &setBack{}
		r.Lanes = NewLanes(set, r.woken.wake)
		r.Hold("team-a", github, set.Now().Add(10*time.Second))
		r.waits(key("team-a", 0), github, Told)
		set.by.Store(int64(5 * time.Second))
		if early := r.after(14 * time.Second); len(early) != 0 {
			t.Errorf("woken too early by the clock: %v", early)
		}
		if got := r.after(time.Second); len(got) != 1 {
			t.Errorf("woken: %v", got)
		}
		r.goes(key("team-a", 0), github)

		r.Hold("team-a", github, set.Now().Add(time.Hour))
		r.waits(key("team-a", 0), github, Told)
		set.by.Store(int64(-time.Hour))
		r.Review()
		if got := r.after(0); len(got) != 1 {
			t.Errorf("woken: %v", got)
		}
		r.goes(key("team-a", 0), github)

		r.Hold("team-a", github, set.Now().Add(time.Hour))
		set.by.Store(int64(24 * time.Hour))
		if wait := r.waits(key("team-a", 0), github, Told); wait > 25*time.Hour {
			t.Errorf("it waits for %s", wait)
		}
		if got := r.after(time.Hour + time.Second); len(got) != 1 {
			t.Errorf("woken: %v", got)
		}
	})
}

func TestAnEndpointThatIsDownWhenTheClockIsSetBackIsAskedAgainSoon(t *testing.T) {
	for name, asked := range map[string]bool{"by who has not asked since": false, "by who has": true} {
		t.Run(name, func(t *testing.T) {
			onTheRoad(t, func(r *road) {
				set := &setBack{}
				r.Lanes = NewLanes(set, r.woken.wake)
				r.breaks("team-a", github)
				if asked {
					r.after(firstProbe)
					r.goes(key("team-a", 0), github).End(Outcome{Verdict: Failed})
				}
				r.waits(key("team-a", 0), github, Down)
				set.by.Store(int64(24 * time.Hour))
				r.Review()
				if got := r.after(lastProbe); len(got) != 1 {
					t.Errorf("woken: %v", got)
				}
				r.goes(key("team-a", 0), github)
			})
		})
	}
}
