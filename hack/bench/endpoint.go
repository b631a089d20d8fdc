// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// tokenLifetime outlives the run: a token is due only where its record was given an age.
const tokenLifetime = time.Hour

// endpoint is the bare token endpoint, and notes when refresh tokens arrive.
type endpoint struct {
	bare   *idp.BareServer
	url    string
	server *http.Server

	mu       sync.Mutex
	arrivals map[string]time.Time // by refresh token
}

func serveTokens(ctx context.Context) (*endpoint, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &endpoint{
		bare:     idp.Bare(tokenLifetime),
		url:      "http://" + listener.Addr().String(),
		arrivals: map[string]time.Time{},
	}
	e.server = &http.Server{Handler: e, ReadHeaderTimeout: time.Minute}
	go func() { _ = e.server.Serve(listener) }() // ends with close
	return e, nil
}

// ServeHTTP implements http.Handler.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if token := r.PostFormValue("refresh_token"); token != "" {
		e.mu.Lock()
		e.arrivals[token] = now
		e.mu.Unlock()
	}
	e.bare.ServeHTTP(w, r)
}

// forget starts the notes anew.
func (e *endpoint) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.arrivals)
}

// arrived is how many refresh tokens came since forget.
func (e *endpoint) arrived() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.arrivals)
}

// seen are the refresh tokens that came since forget, and when.
func (e *endpoint) seen() map[string]time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.arrivals)
}

// span is the time between the first and the last refresh token that came since forget.
func (e *endpoint) span() time.Duration {
	times := slices.SortedFunc(maps.Values(e.seen()), time.Time.Compare)
	if len(times) == 0 {
		return 0
	}
	return times[len(times)-1].Sub(times[0])
}

// awaitArrivals waits until so many refresh tokens came.
func (e *endpoint) awaitArrivals(ctx context.Context, count int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for e.arrived() < count {
		select {
		case <-ctx.Done():
			return errors.New("not every refresh that is due was made in time")
		case <-tick.C:
		}
	}
	return nil
}

func (e *endpoint) close() error { return e.server.Close() }
