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
	// minAge keeps a provider with short tokens from being asked without end.
	minAge = 5 * time.Second
	// MinLife is how long an access token has to live to be kept valid: half of that is the least
	// time between two renewals.
	MinLife = 2 * minAge
	// RestlessInterval is how often one that lives shorter is renewed: it is expired most of the time
	// whatever is done.
	RestlessInterval = 30 * time.Second

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

// ShortLived says whether a token's life is below MinLife.
func ShortLived(t *Token) bool { return !t.Expiry.IsZero() && t.Expiry.Sub(t.Obtained) < MinLife }

// DueAt is when a token is to be renewed; zero when it never has to be: the earlier of what its expiry
// and what its refresh token ask for, and at least 5 s after it was obtained, 30 s where its life is too
// short to be kept up with.
func DueAt(t *Token, s Schedule) time.Time {
	if t == nil {
		return time.Time{}
	}
	due := s.beforeExpiry(t)
	if idle := s.beforeIdle(t); due.IsZero() || !idle.IsZero() && idle.Before(due) {
		due = idle
	}
	age := minAge
	if ShortLived(t) {
		age = RestlessInterval
	}
	if first := t.Obtained.Add(age); !due.IsZero() && due.Before(first) {
		return first
	}
	return due
}

// beforeExpiry is the expiry less the larger of 20 % of the life and 5 minutes, but at most half of the
// life; then up to a tenth of that margin earlier, fixed by the seed.
func (s Schedule) beforeExpiry(t *Token) time.Time {
	if t.Expiry.IsZero() {
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
	return t.Expiry.Add(-margin)
}

// beforeIdle keeps a refresh token alive: three quarters of the time for which it may stay unused, less
// up to a tenth fixed by the seed. Zero where nothing is known of that, or too little time is left.
func (s Schedule) beforeIdle(t *Token) time.Time {
	idle := s.IdleTimeout
	if left := t.RefreshTokenExpiry.Sub(t.Obtained); left > minAge && (idle <= 0 || left < idle) {
		idle = left
	}
	if idle <= 0 {
		return time.Time{}
	}
	wait := idle / 4 * 3
	due := t.Obtained.Add(wait - time.Duration(fraction(s.Seed)*float64(wait)/10))
	if refused := t.Expiry.Add(-s.Earliest); s.Earliest > 0 && !t.Expiry.IsZero() && due.Before(refused) {
		return refused
	}
	return due
}

// GrantEnds is when a grant ends however often it is renewed, and when what ends then began; zero where
// that is not known. due is when the token is renewed next, zero when it cannot be: the end of a refresh
// token that is replaced before is no end of the grant.
func (c *Client) GrantEnds(t *Token, authorizedAt, due time.Time) (began, ends time.Time) {
	began, ends = authorizedAt, t.RefreshTokenExpiry
	if began.IsZero() {
		began = t.Obtained
	}
	if c.Rotation == Rotating || t.Extended {
		began = t.Obtained
		if !due.IsZero() && due.Before(ends) {
			ends = time.Time{}
		}
	}
	if c.AbsoluteLifetime <= 0 || authorizedAt.IsZero() {
		return began, ends
	}
	if absolute := authorizedAt.Add(c.AbsoluteLifetime); ends.IsZero() || absolute.Before(ends) {
		return authorizedAt, absolute
	}
	return began, ends
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
