// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const (
	// apiRetry is when to look again after the API server failed.
	apiRetry = 10 * time.Second
	// unwatchedRetry is when to look again at what nobody tells of: tenants' Secrets, which the
	// operator does not watch, and the labels of namespaces.
	unwatchedRetry = 30 * time.Second
)

// Error says why a connection or provider cannot be used.
type Error struct {
	// Reason is a condition reason of v1alpha1.
	Reason string
	// Message names the field, the cause and the next command. It holds nothing of a provider's text.
	Message string
	// Retry is when to look again although nothing changed; zero: on a change only.
	Retry time.Duration
	// RedirectURI is the address to register, where it is known although the client is not complete:
	// who registers gets the client's id and secret only after naming it.
	RedirectURI string

	cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the API server's error, where there is one.
func (e *Error) Unwrap() error { return e.cause }

// origin is where a provider or a client was written, for messages.
type origin struct {
	// object is the provider object's kind and name, empty for the object being resolved itself.
	object string
	// field is the path that the fields stand under.
	field string
}

func (o origin) errorf(reason, field, format string, args ...any) *Error {
	var b strings.Builder
	if o.object != "" {
		b.WriteString(o.object + ": ")
	}
	b.WriteString(o.field + field + ": ")
	fmt.Fprintf(&b, format, args...)
	return &Error{Reason: reason, Message: b.String()}
}

// unavailable is a read that failed for the API server's own reasons.
func unavailable(what string, err error) *Error {
	return &Error{
		Reason:  v1alpha1.ReasonProgressing,
		Message: fmt.Sprintf("%s could not be read (%s); it is tried again", what, apierrors.ReasonForError(err)),
		Retry:   apiRetry,
		cause:   err,
	}
}

// printable bounds a text to so many characters and replaces those that could mislead a reader.
func printable(text string, limit int) string {
	runes := []rune(strings.ToValidUTF8(text, "?"))
	runes = runes[:min(len(runes), limit)]
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = '?'
		}
	}
	return string(runes)
}
