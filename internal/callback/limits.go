// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// A person needs three requests to connect; a team behind one address needs some more.
	defaultPerMinute = 60
	defaultBurst     = 30
	// maxClients bounds the addresses that are remembered. Who is forgotten starts with a full
	// allowance, which is no more than another address would have.
	maxClients = 8192
	// neighbours are the addresses of which the one that was silent for longest makes way for another.
	neighbours = 8
	// maxForwarded bounds the entries of X-Forwarded-For that are looked at.
	maxForwarded = 16
)

// Limits bound what unauthenticated visitors can use.
type Limits struct {
	// PerMinute and Burst are requests of one client address: an IPv4 address or an IPv6 /64.
	// Zero: 60 and 30.
	PerMinute, Burst int
	// TrustedProxies may tell the client's address by X-Forwarded-For.
	TrustedProxies []netip.Prefix
}

// limiter remembers addresses in a table that is there from the start: a flood of them costs nothing.
type limiter struct {
	Limits
	clock clock.PassiveClock
	seed  maphash.Seed // nobody can choose their neighbours

	mu    sync.Mutex
	table [maxClients / neighbours][neighbours]allowance
}

// allowance is a token bucket. It has no pointers, which the garbage collector would follow.
type allowance struct {
	client [16]byte // an IPv6 address, or an IPv4 one in IPv6
	left   float64  // requests
	at     int64    // when that many were left, in nanoseconds since 1970; 0: this is nobody's
}

func newLimiter(l Limits, c clock.PassiveClock) *limiter {
	if l.PerMinute == 0 {
		l.PerMinute = defaultPerMinute
	}
	if l.Burst == 0 {
		l.Burst = defaultBurst
	}
	return &limiter{Limits: l, clock: c, seed: maphash.MakeSeed()}
}

// allow takes one request off the client's allowance.
func (l *limiter) allow(r *http.Request) bool {
	client, now := l.client(r).As16(), l.clock.Now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.allowance(client)
	if a.at == 0 || a.client != client {
		*a = allowance{client: client, left: float64(l.Burst), at: now}
	}
	passed := max(0, time.Duration(now-a.at))
	a.left, a.at = min(float64(l.Burst), a.left+passed.Minutes()*float64(l.PerMinute)), now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// allowance is the client's place, or the one that it may take.
func (l *limiter) allowance(client [16]byte) *allowance {
	places := &l.table[maphash.Comparable(l.seed, client)%uint64(len(l.table))]
	silent := &places[0]
	for i := range places {
		if places[i].client == client {
			return &places[i]
		}
		if places[i].at < silent.at {
			silent = &places[i]
		}
	}
	return silent
}

// wait is after how many seconds a request is allowed again.
func (l *limiter) wait() int { return int(math.Ceil(60 / float64(l.PerMinute))) }

// client is the address that requests are counted for: the last one in X-Forwarded-For that no
// trusted proxy has. Entries further left can be written by anybody.
func (l *limiter) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	client := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= max(0, len(hops)-maxForwarded) && l.trusted(client); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		client = hop.Unmap()
	}
	return network(client)
}

func (l *limiter) trusted(addr netip.Addr) bool {
	for _, prefix := range l.TrustedProxies {
		if prefix.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}

// network stands for a client: a home or a machine has a whole IPv6 /64.
func network(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.Addr()
		}
	}
	return addr
}
