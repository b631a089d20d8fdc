// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"math"
	"net/http"
	"net/netip"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

const (
	// A person needs three requests to connect; a team behind one address needs some more.
	defaultPerMinute = 60
	defaultBurst     = 30
	// maxClients bounds the addresses that are remembered: about 600 KiB. Who is forgotten starts
	// with a full allowance, which is no more than another address would have.
	maxClients = 2048
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

type limiter struct {
	Limits
	clock   clock.PassiveClock
	clients *lru.Cache[netip.Addr, *rate.Limiter]
}

func newLimiter(l Limits, c clock.PassiveClock) *limiter {
	if l.PerMinute == 0 {
		l.PerMinute = defaultPerMinute
	}
	if l.Burst == 0 {
		l.Burst = defaultBurst
	}
	clients, err := lru.New[netip.Addr, *rate.Limiter](maxClients)
	if err != nil {
		panic(err) // the size is a constant
	}
	return &limiter{Limits: l, clock: c, clients: clients}
}

// allow takes one request off the client's allowance.
func (l *limiter) allow(r *http.Request) bool {
	fresh := rate.NewLimiter(rate.Limit(float64(l.PerMinute)/60), l.Burst)
	key := l.client(r)
	known, found, _ := l.clients.PeekOrAdd(key, fresh)
	if !found {
		known = fresh
	} else {
		l.clients.Get(key) // keeps it from being forgotten
	}
	return known.AllowN(l.clock.Now(), 1)
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
