// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "time"

// Schedule says when a token is renewed.
type Schedule struct {
	// Before overrides how long before its expiry; zero: the default.
	Before time.Duration
	// Earliest is the remaining life above which the provider refuses; zero: none.
	Earliest time.Duration
	// Seed fixes the jitter: the UID of the object.
	Seed string
}

// DueAt is when a token is to be renewed; zero when it never expires.
func DueAt(t *Token, s Schedule) time.Time { return time.Time{} }

// Backoff is how long to wait after so many failures in a row; zero for none.
func Backoff(failures int, seed string) time.Duration { return 0 }
