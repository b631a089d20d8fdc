// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import "time"

// Error says why a connection or provider cannot be used.
type Error struct {
	// Reason is a condition reason of v1alpha1.
	Reason string
	// Message names the field, the cause and the next command. It holds nothing of a provider's text.
	Message string
	// Retry is when to look again although nothing changed; zero: on a change only.
	Retry time.Duration

	cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the API server's error, where there is one.
func (e *Error) Unwrap() error { return e.cause }
