// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// visits asks as often as it is allowed.
func visits(l *limiter, address netip.Addr) int {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.RemoteAddr = netip.AddrPortFrom(address, 1).String()
	n := 0
	for l.allow(request) {
		n++
	}
	return n
}

// strangers is the nth of many addresses.
func strangers(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|n)
	return netip.AddrFrom4(b)
}

func TestAnAllowanceGrowsBackWithTime(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	l := newLimiter(Limits{PerMinute: 60, Burst: 30}, now)
	one, other := strangers(1), strangers(2)
	for _, step := range []struct {
		later time.Duration
		want  int
	}{{0, 30}, {0, 0}, {999 * time.Millisecond, 0}, {time.Millisecond, 1}, {10 * time.Second, 10}, {time.Hour, 30}, {-time.Hour, 0}} {
		now.SetTime(now.Now().Add(step.later))
		if got := visits(l, one); got != step.want {
			t.Errorf("%s later: %d requests, want %d", step.later, got, step.want)
		}
	}
	if got := visits(l, other); got != 30 {
		t.Errorf("another address has %d requests, want 30", got)
	}
}

// A few hundred addresses at a time are told apart, and the table stays as it is for any number.
func TestAddressesAreRememberedInATableThatDoesNotGrow(t *testing.T) {
	l := newLimiter(Limits{PerMinute: 1, Burst: 2}, clocktesting.NewFakePassiveClock(time.Now()))
	for n := range uint32(maxClients / 16) {
		visits(l, strangers(n))
	}
	forgotten := 0
	for n := range uint32(maxClients / 16) {
		forgotten += visits(l, strangers(n))
	}
	if forgotten > 0 {
		t.Errorf("%d requests too many", forgotten)
	}
	n := uint32(0)
	if allocated := testing.AllocsPerRun(4*maxClients, func() {
		n++
		*l.allowance(strangers(n).As16()) = allowance{client: strangers(n).As16(), at: int64(n)}
	}); allocated > 0 {
		t.Errorf("an address takes %v allocations", allocated)
	}
}
