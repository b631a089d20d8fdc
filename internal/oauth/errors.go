// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrRevocationUnsupported means that the provider has no revocation endpoint.
var ErrRevocationUnsupported = errors.New("the provider has no revocation endpoint")

// Kind says what an error means for the grant and for the next try. Kinds are stored: new ones are
// added at the end.
type Kind int

const (
	// Unreachable means that nothing was sent (DNS, connect, TLS): nothing was spent, try freely.
	Unreachable Kind = iota + 1
	// Transient means that the provider said it failed (5xx, temporarily_unavailable). The refresh
	// token may be spent: one prompt retry inside RetryWindow, then backoff.
	Transient
	// Throttled means that the provider asked to wait; RetryAfter says how long, if it is known.
	Throttled
	// Unexpected means that an answer is not OAuth's (a proxy's page, an unknown error code). As
	// Transient, but a person should look when it lasts for a day.
	Unexpected
	// Ambiguous means that the request was sent and no readable answer came: a code or refresh
	// token may be spent, and a new token may be lost.
	Ambiguous
	// Reauthorize means that the grant is over and a person has to consent again.
	Reauthorize
	// NoRefreshToken means that no refresh token is held: nothing was sent.
	NoRefreshToken
	// ClientRejected means that the provider refused the client's credentials.
	ClientRejected
	// Misconfigured means that the provider refused scopes or parameters: only a change helps.
	Misconfigured
	// Blocked means that the operator's own policy forbids the address: nothing was sent.
	Blocked
)

func kinds() []string {
	return []string{
		"Unknown", "Unreachable", "Transient", "Throttled", "Unexpected", "Ambiguous",
		"Reauthorize", "NoRefreshToken", "ClientRejected", "Misconfigured", "Blocked",
	}
}

// String returns the name, "Unknown" for the zero value.
func (k Kind) String() string {
	names := kinds()
	if k < 0 || int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// MarshalText returns the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name. One that is not known (written by a newer version) gives the zero
// value, so that what it stands in stays readable.
func (k *Kind) UnmarshalText(text []byte) error {
	*k = 0
	for i, name := range kinds() {
		if name == string(text) {
			*k = Kind(i)
		}
	}
	return nil
}

// Error is a failed request. It holds fixed words only, nothing of the provider's text.
type Error struct {
	Kind Kind
	// Code is a registered OAuth error code, else empty.
	Code string
	// Status is the HTTP status, 0 where no answer came.
	Status int
	// RetryAfter is what the provider asked for, at most one hour; zero where it did not.
	RetryAfter time.Duration
	// Cause is a fixed part of a sentence.
	Cause string
	// Issues are those of the answer, see Token.
	Issues []string
}

// Error prints cause, kind, code and status.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s", e.Cause, e.Kind)
	if e.Code != "" {
		b.WriteString(", " + e.Code)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ", HTTP %d", e.Status)
	}
	b.WriteByte(')')
	for _, issue := range e.Issues {
		b.WriteString("; " + issue)
	}
	return b.String()
}
