// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// minMargin is how long before its expiry a token is renewed at least, if its life allows.
	minMargin = 5 * time.Minute
	// minAge keeps a provider with absurdly short tokens from being asked without end.
	minAge = 5 * time.Second

	firstBackoff, lastBackoff = 5 * time.Second, 5 * time.Minute
)

// Schedule says when a token is renewed.
type Schedule struct {
	// Before overrides how long before its expiry; zero: the default. Never more than half its life.
	Before time.Duration
	// Earliest is the remaining life above which the provider refuses; zero: none.
	Earliest time.Duration
	// IdleTimeout ends a refresh token that is not used for so long; zero: it is not known.
	IdleTimeout time.Duration
	// Seed fixes the jitter: the UID of the object, so that restarts do not reshuffle.
	Seed string
}

// DueAt is when a token is to be renewed; zero when it never expires. That is the expiry less the
// larger of 20 % of its life and 5 minutes, but at most half of its life; then up to a tenth of that
// margin earlier, fixed by the seed.
func DueAt(t *Token, s Schedule) time.Time {
	if t == nil || t.Expiry.IsZero() {
		return time.Time{}
	}
	life := max(t.Expiry.Sub(t.Obtained), 0)
	margin := s.Before
	if margin <= 0 {
		margin = max(life/5, minMargin)
	}
	margin = min(margin, life/2)
	margin += time.Duration(fraction(s.Seed) * float64(margin) / 10)
	if s.Earliest > 0 {
		margin = min(margin, s.Earliest)
	}
	due, first := t.Expiry.Add(-margin), t.Obtained.Add(minAge)
	if due.Before(first) {
		return first
	}
	return due
}

// GrantEnds is when a grant ends however often it is renewed; zero where that is not known. due is when
// the token is renewed next, zero when it never is.
func (c *Client) GrantEnds(t *Token, authorizedAt, due time.Time) time.Time {
	return time.Time{}
}

// Backoff is how long to wait after so many failures in a row: 5 s, doubling to 5 min, within 10 %
// fixed by the seed. It is zero for no failure.
func Backoff(failures int, seed string) time.Duration {
	if failures <= 0 {
		return 0
	}
	wait := firstBackoff
	for i := 1; i < failures && wait < lastBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, lastBackoff)
	return wait + time.Duration((fraction(seed)-0.5)*float64(wait)/5)
}

// fraction maps a seed evenly to [0, 1).
func fraction(seed string) float64 {
	sum := sha256.Sum256([]byte(seed))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}
