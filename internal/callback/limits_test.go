// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
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

func TestOfTooManyAddressesTheOnesThatWereSilentForLongestAreForgotten(t *testing.T) {
	l := newLimiter(Limits{PerMinute: 1, Burst: 2}, clocktesting.NewFakePassiveClock(time.Now()))
	for n := range uint32(maxClients + 1) {
		visits(l, strangers(n))
	}
	if got := visits(l, strangers(maxClients)); got != 0 {
		t.Errorf("the last address has %d requests more", got)
	}
	if got := visits(l, strangers(0)); got != 2 {
		t.Errorf("the first address has %d requests, want 2", got)
	}
	if n := l.clients.Len(); n != maxClients {
		t.Errorf("%d addresses are remembered", n)
	}
}

// unknowing is a cache that has heard of no attempt. Its visitors look for the first time together, and
// for the second time not before they may.
type unknowing struct {
	client.Reader
	first  sync.WaitGroup
	second chan struct{}

	mu    sync.Mutex
	looks map[string]int
}

func (u *unknowing) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	u.mu.Lock()
	u.looks[key.Name]++
	looks := u.looks[key.Name]
	u.mu.Unlock()
	if looks == 1 {
		u.first.Done()
		u.first.Wait()
	} else {
		<-u.second
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func TestOfManyVisitorsWithMadeUpNamesFewWaitForTheCache(t *testing.T) {
	const visitors = 3 * maxWaiting
	r := newRig(t)
	s, cache := newServer(t, r), &unknowing{looks: map[string]int{}, second: make(chan struct{})}
	cache.first.Add(visitors)
	s.Authorizations = cache
	handler := s.Handler()
	answers := make(chan int, visitors)
	for n := range visitors {
		go func() {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/authorize/a/%d", n), nil))
			answers <- answer.Code
		}()
	}
	for n := range visitors {
		if n == visitors-maxWaiting {
			close(cache.second)
		}
		select {
		case status := <-answers:
			if status != http.StatusNotFound {
				t.Errorf("status %d", status)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d visitors wait for the cache, want %d", visitors-n, visitors, maxWaiting)
		}
	}
	waited := 0
	for _, looks := range cache.looks {
		if looks > 1 {
			waited++
		}
	}
	if waited != maxWaiting {
		t.Errorf("%d of %d visitors waited for the cache, want %d", waited, visitors, maxWaiting)
	}
}

// late is a cache that hears of a pairing when it is looked at for the second time.
type late struct {
	client.Reader
	looks atomic.Int64
}

func (l *late) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := l.Reader.Get(ctx, key, o, options...); err != nil {
		return err
	}
	if attempt, ok := o.(*v1alpha1.OAuthAuthorization); ok && l.looks.Add(1) == 1 {
		attempt.Spec.Browser = nil
	}
	return nil
}

func TestStrangersDoNotKeepAPairedBrowserFromGoingOn(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	b := &idp.Browser{}
	open(t, b, p.start)
	for range cap(r.waiting) {
		r.waiting <- struct{}{}
	}
	r.Authorizations = &late{Reader: env.Client}
	if page := open(t, b, r.address(p.attempt)+"?proof="+p.proof); len(page.Forms) != 1 {
		t.Errorf("the browser is shown %s", page.Body)
	}
}
