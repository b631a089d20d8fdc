// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

var github = Route{Endpoint: "https://github.com/token", Client: "one"}

// road is Lanes with everybody who is woken at work at once, in a bubble's time.
type road struct {
	*testing.T
	*Lanes
	woken woken
}

func onTheRoad(t *testing.T, test func(r *road)) {
	synctest.Test(t, func(t *testing.T) {
		r := &road{T: t}
		r.Lanes = NewLanes(clock.RealClock{}, r.woken.wake)
		test(r)
	})
}

// goes asks, and fails the test where it has to wait.
func (r *road) goes(k Key, route Route) *Permit {
	r.Helper()
	p, wait := r.Ask(k, route, noon)
	if p == nil {
		r.Fatalf("%s has to wait: %+v", k, wait)
	}
	return p
}

// waits asks, and fails the test where it need not wait.
func (r *road) waits(k Key, route Route, reason Reason) time.Duration {
	r.Helper()
	p, wait := r.Ask(k, route, noon)
	if p != nil || wait.Reason != reason {
		r.Fatalf("%s: %+v, want reason %d", k, wait, reason)
	}
	return time.Until(wait.Until)
}

// after sleeps and returns who was woken meanwhile.
func (r *road) after(d time.Duration) []Key {
	time.Sleep(d)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.woken.take()
}

func (r *road) breaks(namespace string, route Route) {
	r.Helper()
	for i := range enough {
		r.goes(key(namespace, 1000+i), route).End(Outcome{Verdict: Failed})
	}
}

func TestAPermitThatIsNotUsedYetIsWithdrawnByARetryAfter(t *testing.T) {
	onTheRoad(t, func(r *road) {
		told, same, elsewhere := r.goes(key("team-a", 0), github), r.goes(key("team-a", 1), github), r.goes(key("team-b", 0), github)
		if wait, ok := same.Withdrawn(); ok {
			t.Errorf("it is withdrawn before anything was told: %+v", wait)
		}
		told.End(Outcome{Verdict: Throttled, RetryAfter: 20 * time.Minute})
		for permit, want := range map[*Permit]time.Duration{same: 20 * time.Minute, elsewhere: longestForOthers} {
			if wait, ok := permit.Withdrawn(); !ok || wait.Reason != Told || time.Until(wait.Until) != want {
				t.Errorf("%s: withdrawn %t, %+v", permit.namespace, ok, wait)
			}
		}
		same.End(Outcome{})
		elsewhere.End(Outcome{})
	})
}

func TestRetryAfterClosesTheLaneForAsLongAsToldAndWakesOnTime(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled, RetryAfter: 20 * time.Minute})
		if wait := r.waits(key("team-a", 1), github, Told); wait != 20*time.Minute {
			t.Errorf("it waits for %s", wait)
		}
		if early := r.after(20*time.Minute - time.Millisecond); len(early) != 0 {
			t.Errorf("woken too early: %v", early)
		}
		if got := r.after(2 * time.Millisecond); !slices.Equal(got, []Key{key("team-a", 1)}) {
			t.Fatalf("woken: %v", got)
		}
		r.goes(key("team-a", 1), github)
	})
}

func TestWhatOneClientWasToldHoldsOthersUpForAMinuteAtMostAndATenthOfTheTime(t *testing.T) {
	onTheRoad(t, func(r *road) {
		other, elsewhere := Route{Endpoint: github.Endpoint, Client: "two"}, Route{Endpoint: "https://gitlab.com/token", Client: "one"}
		throttled := Outcome{Verdict: Throttled, RetryAfter: time.Hour}
		r.goes(key("team-a", 0), github).End(throttled)
		r.goes(key("team-b", 0), elsewhere)
		if wait := r.waits(key("team-b", 1), other, Told); wait != time.Minute {
			t.Errorf("another client waits for %s", wait)
		}
		if got := r.after(time.Minute); len(got) != 1 {
			t.Fatalf("woken: %v", got)
		}
		r.goes(key("team-b", 1), other).End(Outcome{Verdict: Succeeded})
		third := Route{Endpoint: github.Endpoint, Client: "three"}
		r.goes(key("team-a", 1), third).End(throttled)
		r.goes(key("team-b", 1), other).End(Outcome{Verdict: Succeeded})
		r.waits(key("team-a", 2), github, Told)
	})
}

// Of a shared client a provider may mean one account, or one person's connection that asks without end.
func TestWhatOneNamespaceWasToldHoldsOthersOfTheClientUpForAMinuteAtMost(t *testing.T) {
	onTheRoad(t, func(r *road) {
		throttled := Outcome{Verdict: Throttled, RetryAfter: time.Hour}
		r.goes(key("team-a", 0), github).End(throttled)
		r.waits(key("team-a", 1), github, Told)
		if wait := r.waits(key("team-b", 1), github, Told); wait != time.Minute {
			t.Errorf("another namespace waits for %s", wait)
		}
		if got := r.after(time.Minute); !slices.Equal(got, []Key{key("team-b", 1)}) {
			t.Fatalf("woken: %v", got)
		}
		r.goes(key("team-b", 1), github).End(Outcome{Verdict: Succeeded})
		if wait := r.waits(key("team-a", 2), github, Told); wait != 59*time.Minute {
			t.Errorf("it waits for %s", wait)
		}
		got := r.after(59 * time.Minute)
		if len(got) != 1 || got[0].Namespace != "team-a" {
			t.Fatalf("woken: %v", got)
		}
		r.goes(got[0], github).End(throttled)
	})
}

func TestA429WithoutATimeClosesForASecond(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled})
		if wait := r.waits(key("team-a", 1), github, Told); wait != time.Second {
			t.Errorf("it waits for %s", wait)
		}
		if got := r.after(time.Second); len(got) != 1 {
			t.Errorf("woken: %v", got)
		}
	})
}

func TestAWaitLearntFromARecordHoldsAfterARestart(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.Hold("team-a", github, time.Now().Add(10*time.Minute))
		r.Hold("team-a", github, time.Now().Add(-time.Minute))
		if wait := r.waits(key("team-a", 1), github, Told); wait != 10*time.Minute {
			t.Errorf("it waits for %s", wait)
		}
		r.Hold("team-a", github, time.Now().Add(1000*time.Hour))
		if wait := r.waits(key("team-a", 1), github, Told); wait != time.Hour {
			t.Errorf("it waits for %s, and an hour is the most", wait)
		}
	})
}

func TestAnEndpointThatIsDownIsLeftAloneAndOneAnswerIsEnough(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.breaks("team-a", github)
		for _, wait := range []time.Duration{firstProbe, 10 * time.Second, 20 * time.Second, lastProbe, lastProbe} {
			if got := r.waits(key("team-a", 0), github, Down); got != wait {
				t.Fatalf("it waits for %s, want %s", got, wait)
			}
			if got := r.after(wait); !slices.Equal(got, []Key{key("team-a", 0)}) {
				t.Fatalf("woken: %v", got)
			}
			p := r.goes(key("team-a", 0), github)
			r.waits(key("team-a", 1), github, Down) // one at a time
			p.End(Outcome{Verdict: Failed})
			r.Forget(key("team-a", 1))
		}
		r.waits(key("team-a", 0), github, Down)
		r.waits(key("team-a", 1), github, Down)
		r.after(lastProbe)
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Answered})
		r.goes(key("team-a", 1), github)
		r.goes(key("team-a", 2), github)
	})
}

func TestNobodysFailingConnectionKeepsOthersFromFindingOut(t *testing.T) {
	onTheRoad(t, func(r *road) {
		other := Route{Endpoint: github.Endpoint, Client: "two"}
		r.breaks("team-a", github)
		r.waits(key("team-a", 0), github, Down)
		r.waits(key("team-b", 0), other, Down)
		if got := r.after(firstProbe); len(got) != 2 {
			t.Fatalf("woken: %v", got)
		}
		hanging := r.goes(key("team-a", 0), github)
		r.goes(key("team-b", 0), other).End(Outcome{Verdict: Succeeded})
		r.goes(key("team-b", 1), other)
		r.goes(key("team-a", 1), github)
		hanging.End(Outcome{Verdict: Failed})
		r.goes(key("team-b", 2), other)
	})
}

func TestOneNamespaceTriesByOneRequestInAllItsLanes(t *testing.T) {
	onTheRoad(t, func(r *road) {
		other := Route{Endpoint: github.Endpoint, Client: "two"}
		r.breaks("team-a", github)
		r.waits(key("team-a", 0), github, Down)
		r.waits(key("team-a", 1), other, Down)
		got := r.after(firstProbe)
		if len(got) != 1 {
			t.Fatalf("woken: %v", got)
		}
		r.Forget(got[0]) // it vanished: the other one tries
		if got = r.after(0); len(got) != 1 {
			t.Fatalf("woken: %v", got)
		}
		route := map[Key]Route{key("team-a", 0): github, key("team-a", 1): other}[got[0]]
		p := r.goes(got[0], route)
		r.waits(key("team-a", 2), github, Down)
		p.End(Outcome{Verdict: Unused}) // it was not sent after all
		if got = r.after(0); !slices.Equal(got, []Key{key("team-a", 2)}) {
			t.Fatalf("woken: %v", got)
		}
	})
}

func TestSoManyRequestsAreUnderWayAtOnceAndTheNextComesWhenOneEnds(t *testing.T) {
	onTheRoad(t, func(r *road) {
		var under []*Permit
		for i := range underway / 2 {
			under = append(under, r.goes(key("team-a", i), github))
		}
		r.waits(key("team-a", 100), github, Crowded)
		r.goes(key("team-a", 0), Route{Endpoint: github.Endpoint, Client: "two"})
		for i := range underway / 4 {
			r.goes(key("team-b", i), github)
		}
		r.waits(key("team-b", 100), github, Crowded)
		under[0].End(Outcome{Verdict: Unused})
		under[0].End(Outcome{Verdict: Failed}) // too late
		if got := r.after(0); !slices.Equal(got, []Key{key("team-b", 100)}) {
			t.Errorf("woken is %v, and team-a holds more than are free", got)
		}
		for _, p := range under[1 : underway/8+1] {
			p.End(Outcome{Verdict: Succeeded})
		}
		if got := r.after(0); !slices.Equal(got, []Key{key("team-a", 100)}) {
			t.Errorf("woken: %v", got)
		}
	})
}

func TestAHerdDrainsAtTheProvidersPaceSoonestExpiryFirst(t *testing.T) {
	const herd = 600
	onTheRoad(t, func(r *road) {
		for i := range 100 { // ten a second
			r.goes(key("team-a", i), github).End(Outcome{Verdict: Succeeded})
			time.Sleep(100 * time.Millisecond)
		}
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled, RetryAfter: 2 * time.Second})
		for i := range herd {
			r.Ask(key("team-a", i), github, noon.Add(time.Duration(i*7919%herd)*time.Second))
		}
		var urgencies []int
		perSecond := map[int]int{}
		for began := time.Now(); len(urgencies) < herd; {
			for _, k := range r.after(100 * time.Millisecond) {
				p := r.goes(k, github)
				var i int
				fmt.Sscan(k.Name, &i)
				urgencies = append(urgencies, i*7919%herd)
				perSecond[int(time.Since(began).Seconds())]++
				time.Sleep(time.Millisecond)
				p.End(Outcome{Verdict: Succeeded})
			}
		}
		if !slices.IsSorted(urgencies) {
			t.Error("the order is not that of expiry")
		}
		if perSecond[0]+perSecond[1] > 1 || perSecond[3] < 4 || perSecond[3] > 8 || perSecond[20] < perSecond[4]+10 {
			t.Errorf("the speed is %v: it has to begin with half of ten a second and to grow", perSecond)
		}
		if waiting := r.Waiting(); waiting != 0 {
			t.Errorf("%d wait", waiting)
		}
	})
}

func TestASpeedNobodyMindsForTenMinutesIsUnlimitedAgain(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled})
		if r.Restrained() != 1 {
			t.Errorf("%d lanes are restrained", r.Restrained())
		}
		r.after(calm + time.Second)
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Succeeded})
		if r.Restrained() != 0 {
			t.Errorf("%d lanes are restrained", r.Restrained())
		}
	})
}

func TestANamespaceWithThousandsDoesNotHoldUpOneWithAFew(t *testing.T) {
	onTheRoad(t, func(r *road) {
		for _, namespace := range []string{"team-a", "team-b"} {
			r.Hold(namespace, github, time.Now().Add(time.Second))
		}
		for i := range 1000 {
			r.Ask(key("team-a", i), github, time.Time{})
		}
		r.Ask(key("team-b", 0), github, noon)
		r.Ask(key("team-b", 1), github, noon)
		var order []string
		for got := r.after(time.Second); len(order) < 20; got = r.after(time.Millisecond) {
			for _, k := range got {
				order = append(order, k.Namespace)
				r.goes(k, github).End(Outcome{Verdict: Succeeded})
			}
		}
		if !slices.Contains(order[:2], "team-b") {
			t.Errorf("the order is %v", order)
		}
	})
}

func TestAPlaceIsNotKeptForWhoNeedsItNoLonger(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.Hold("team-a", github, time.Now().Add(time.Second))
		r.waits(key("team-a", 0), github, Told)
		r.Leave(key("team-a", 0)) // the pass in which it asked
		if r.Waiting() != 1 {
			t.Fatal("it waits no longer")
		}
		r.Leave(key("team-a", 0)) // one in which it did not
		if r.Waiting() != 0 || len(r.waiters) != 0 {
			t.Error("it waits still")
		}
		r.waits(key("team-a", 0), github, Told)
		r.goes(key("team-a", 0), Route{Endpoint: "https://gitlab.com/token"})
		if r.Waiting() != 0 {
			t.Error("it waits where it was before as well")
		}
	})
}

func TestWhoWasCalledBeforeTheLaneClosedWaitsAllTheSame(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.Hold("team-a", github, time.Now().Add(time.Second))
		r.waits(key("team-a", 0), github, Told)
		r.waits(key("team-a", 1), github, Told)
		if got := r.after(time.Second); len(got) != 2 {
			t.Fatalf("woken: %v", got)
		}
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled, RetryAfter: 3 * time.Second})
		if wait := r.waits(key("team-a", 1), github, Told); wait != 3*time.Second {
			t.Errorf("it waits for %s", wait)
		}
		if got := r.after(3 * time.Second); !slices.Equal(got, []Key{key("team-a", 1)}) {
			t.Errorf("woken: %v", got)
		}
	})
}

func TestLanesNobodyUsesAreForgotten(t *testing.T) {
	onTheRoad(t, func(r *road) {
		for i := range 1000 {
			r.goes(key("team-a", 0), Route{Endpoint: fmt.Sprint("https://", i), Client: "one"}).End(Outcome{Verdict: Succeeded})
		}
		r.goes(key("team-a", 0), github).End(Outcome{Verdict: Throttled, RetryAfter: time.Minute})
		r.after(5 * time.Minute)
		r.goes(key("team-a", 0), Route{Endpoint: "https://last"}).End(Outcome{Verdict: Succeeded})
		if len(r.lanes) != 2 || len(r.endpoints) != 2 {
			t.Errorf("%d lanes and %d endpoints are left", len(r.lanes), len(r.endpoints))
		}
		r.after(2 * time.Hour)
		r.goes(key("team-a", 0), Route{Endpoint: "https://the.very.last"}).End(Outcome{Verdict: Succeeded})
		if len(r.lanes) != 1 || len(r.endpoints) != 1 {
			t.Errorf("%d lanes and %d endpoints are left", len(r.lanes), len(r.endpoints))
		}
	})
}

func TestARouteIsTheEndpointWithoutItsQuery(t *testing.T) {
	for address, want := range map[string]string{
		"https://Example.com/a/token?x=1#y": "https://example.com/a/token",
		"https://example.com:8443/t":        "https://example.com:8443/t",
		"%":                                 "%",
	} {
		if got := RouteOf(address, "c"); got != (Route{Endpoint: want, Client: "c"}) {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// Whoever has an endpoint fail for themselves alone, by a broken certificate or by rules that misread its
// answers, does so again as soon as somebody else's answer has shown that it works.
func TestANamespaceThatIsAnsweredIsNotHeldUpByOthersThatAreNot(t *testing.T) {
	onTheRoad(t, func(r *road) {
		hostile := Route{Endpoint: github.Endpoint, Client: "hostile"}
		r.breaks("team-a", hostile)
		r.waits(key("team-b", 0), github, Down)
		r.waits(key("team-b", 1), github, Down)
		r.after(firstProbe)
		r.goes(key("team-b", 0), github).End(Outcome{Verdict: Succeeded})
		r.breaks("team-a", hostile)
		r.goes(key("team-b", 1), github).End(Outcome{Verdict: Answered})
		r.breaks("team-a", hostile)
		failing := r.goes(key("team-b", 2), github)
		r.waits(key("team-a", 0), hostile, Down)
		failing.End(Outcome{Verdict: Failed}) // now it is down for this one, too
		r.waits(key("team-b", 3), github, Down)
	})
}

// Each change of a connection's endpoint takes another lane, and a provider of one's own closes each.
func TestClosedLanesThatNobodyWaitsForAreFew(t *testing.T) {
	onTheRoad(t, func(r *road) {
		r.goes(key("team-b", 0), github).End(Outcome{Verdict: Throttled, RetryAfter: time.Hour})
		r.waits(key("team-b", 1), github, Told)
		const perMinute, minutes = 6000, 20
		for i := range perMinute * minutes {
			r.goes(key("team-a", 0), Route{Endpoint: fmt.Sprint("https://", i), Client: "one"}).End(Outcome{Verdict: Throttled, RetryAfter: time.Hour})
			time.Sleep(time.Minute / perMinute)
		}
		if most := manyLanes + 3*perMinute; len(r.lanes) > most || len(r.endpoints) > most {
			t.Errorf("%d lanes and %d endpoints", len(r.lanes), len(r.endpoints))
		}
		if wait := r.waits(key("team-b", 2), github, Told); wait < 30*time.Minute {
			t.Errorf("a lane in which somebody waits opens in %s", wait)
		}
	})
}
