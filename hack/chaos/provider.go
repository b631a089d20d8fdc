// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// rules are how the provider behaves. They may change while it runs.
type rules struct {
	lifetime time.Duration // of access tokens
	// rotates: a refresh token is good for one use. Within grace it is answered once more with the same
	// successor, as long as that was not used itself; else its return ends the family.
	rotates bool
	grace   time.Duration
	// before and after processing it dawdles for up to so long.
	before, after time.Duration
	// failing is the share of requests answered with 503 unprocessed, hanging of those that it says
	// nothing to for hang, half of them processed, and lost of those processed and cut off.
	failing, hanging, lost float64
	hang                   time.Duration
	// mercy bounds how often in a row it fails one family; 0 is no mercy.
	mercy int
	// down is an outage: every connection is cut.
	down bool
	// rate is how many requests it takes a second, others get 429; 0 is no limit.
	rate float64
	// retryAfter is what a 429 asks for.
	retryAfter time.Duration
	// hold keeps processed answers back until it is closed.
	hold chan struct{}
}

// tokenServer is a token endpoint that keeps the truth about every token it gave out.
type tokenServer struct {
	oracle

	url    string
	server *http.Server

	settings sync.Mutex
	rules    rules
	random   *rand.Rand
	// throttled until then: everything is answered with 429.
	throttled time.Time
	// bucket of what rate allows.
	bucket   float64
	bucketAt time.Time
}

// serveTokens starts a provider.
func serveTokens(ctx context.Context, seed uint64, r rules) (*tokenServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &tokenServer{url: "http://" + listener.Addr().String(), rules: r, random: rand.New(rand.NewPCG(seed, 1))}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

func (p *tokenServer) close() error { return p.server.Close() }

// set changes the rules.
func (p *tokenServer) set(change func(*rules)) {
	p.settings.Lock()
	defer p.settings.Unlock()
	change(&p.rules)
}

// throttle answers everything with 429 for a while.
func (p *tokenServer) throttle(d time.Duration) {
	p.settings.Lock()
	defer p.settings.Unlock()
	p.throttled = time.Now().Add(d)
}

// fate is what one request meets.
type fate struct {
	rules
	outcome   outcome
	processed bool
	delay     [2]time.Duration // before and after processing
}

// draw decides a request's fate before its token is looked at.
func (p *tokenServer) draw(failedInARow int) fate {
	p.settings.Lock()
	defer p.settings.Unlock()
	f := fate{rules: p.rules, outcome: answered, processed: true}
	share := func(limit time.Duration) time.Duration {
		return time.Duration(p.random.Float64() * float64(limit))
	}
	f.delay = [2]time.Duration{share(f.before), share(f.after)}
	merciful := f.mercy > 0 && failedInARow >= f.mercy
	dice := p.random.Float64()
	switch {
	case f.down:
		f.outcome, f.processed = cut, false
	case !merciful && time.Now().Before(p.throttled), !p.admitted():
		f.outcome, f.processed = throttled, false
	case merciful:
	case dice < f.failing:
		f.outcome, f.processed = failed, false
	case dice < f.failing+f.hanging:
		f.outcome, f.processed = hung, p.random.IntN(2) == 0
	case dice < f.failing+f.hanging+f.lost:
		f.outcome = cut
	}
	return f
}

// admitted says whether the rate allows one more request.
func (p *tokenServer) admitted() bool {
	if p.rules.rate <= 0 {
		return true
	}
	now := time.Now()
	p.bucket = min(p.rules.rate, p.bucket+now.Sub(p.bucketAt).Seconds()*p.rules.rate)
	p.bucketAt = now
	if p.bucket < 1 {
		return false
	}
	p.bucket--
	return true
}

// ServeHTTP answers a token request (RFC 6749 section 6). What was read is processed, whether or not
// somebody waits for the answer.
func (p *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, client := r.PostFormValue("refresh_token"), r.PostFormValue("client_id")
	arrival := p.arrive(token, client)
	defer p.leave(arrival)
	f := p.draw(arrival.failures)
	time.Sleep(f.delay[0])
	var next grant
	if f.processed {
		next = p.spend(arrival, f.rules)
		if next.refused {
			f.outcome = refused
		}
	}
	if f.hold != nil && f.processed {
		wait(r.Context(), f.hold)
	}
	time.Sleep(f.delay[1])
	p.conclude(arrival, f.outcome, f.retryAfter)
	switch f.outcome {
	case hung:
		select {
		case <-r.Context().Done():
		case <-time.After(f.hang):
		}
		panic(http.ErrAbortHandler)
	case cut:
		panic(http.ErrAbortHandler)
	}
	reply(w, f, next)
}

func wait(ctx context.Context, until <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-until:
	}
}

func reply(w http.ResponseWriter, f fate, next grant) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	switch f.outcome {
	case throttled:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
	case failed:
		w.WriteHeader(http.StatusServiceUnavailable)
	case refused:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": next.access, "refresh_token": next.refresh, "token_type": "Bearer",
			"expires_in": int(f.lifetime.Seconds()),
		})
	}
}

// issue starts a family, as a consent does. Its access token lives for life from obtained.
func (p *tokenServer) issue(obtained time.Time, life time.Duration) *oauth.Token {
	next := p.begin(obtained.Add(life))
	return &oauth.Token{
		AccessToken: oauth.NewSecret(next.access), RefreshToken: oauth.NewSecret(next.refresh), TokenType: "Bearer",
		Obtained: obtained, Expiry: obtained.Add(life), Scopes: []string{"repo"},
	}
}

// refreshToken and accessToken say what they are in their text, so that the truth about them is at hand
// wherever one turns up.
func refreshToken(family, generation int) string {
	return fmt.Sprintf("chaos-refresh.%d.%d", family, generation)
}

func parseRefresh(token string) (family, generation int, ok bool) {
	n, err := fmt.Sscanf(token, "chaos-refresh.%d.%d", &family, &generation)
	return family, generation, err == nil && n == 2
}

func accessToken(family, generation int, expiry time.Time) string {
	return fmt.Sprintf("chaos-access.%d.%d.%d", family, generation, expiry.UnixMilli())
}

// expiryOf is when an access token expires at the provider.
func expiryOf(access string) (time.Time, bool) {
	var family, generation int
	var expiry int64
	n, err := fmt.Sscanf(access, "chaos-access.%d.%d.%d", &family, &generation, &expiry)
	return time.UnixMilli(expiry), err == nil && n == 3
}
