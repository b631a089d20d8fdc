// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import "fmt"

// Kind says what a person, or the platform team, can do about an error.
type Kind string

const (
	// Misconfigured means that the platform team has to change something: the issuer, the client,
	// its secret or scopes, the addresses the operator may connect to.
	Misconfigured Kind = "Misconfigured"
	// ProviderDown means that the provider does not answer, or not as one. Trying later helps.
	ProviderDown Kind = "ProviderDown"
	// Unavailable means that the cluster does not answer: keyset, client secret, access review.
	Unavailable Kind = "Unavailable"
	// BadResponse means that what came back is not an answer to what was asked: parameters, iss or
	// ID token are wrong.
	BadResponse Kind = "BadResponse"
	// WrongBrowser means that this browser did not start this sign-in, or has finished it already.
	WrongBrowser Kind = "WrongBrowser"
	// Expired means that the sign-in took too long, or its code was used before. Starting again helps.
	Expired Kind = "Expired"
	// Denied means that the person, or a policy of the provider, said no.
	Denied Kind = "Denied"
	// Refused means that the person is known and may not use a name like that: an email that is
	// not verified, no username, a name that is reserved for Kubernetes.
	Refused Kind = "Refused"
	// TooManyGroups means that the groups fit neither into the ID token nor into a cookie. Only the
	// platform team can help, by having the provider send fewer.
	TooManyGroups Kind = "TooManyGroups"
	// SignedOut means that there is no session, or none that is still good: begin a sign-in.
	SignedOut Kind = "SignedOut"
)

// Error is why somebody is not signed in. Its text is fixed words, nothing of the provider's.
type Error struct {
	Kind Kind
	// Cause is a fixed part of a sentence.
	Cause string
	// err is an error of the cluster, never one of the provider: those quote what was sent.
	err error
}

// Error prints cause and kind, and the cluster's error where there is one.
func (e *Error) Error() string {
	if e.err != nil {
		return fmt.Sprintf("%s (%s): %v", e.Cause, e.Kind, e.err)
	}
	return fmt.Sprintf("%s (%s)", e.Cause, e.Kind)
}

// Unwrap returns the cluster's error.
func (e *Error) Unwrap() error { return e.err }

func fail(kind Kind, cause string) *Error { return &Error{Kind: kind, Cause: cause} }

func unavailable(cause string, err error) *Error {
	return &Error{Kind: Unavailable, Cause: cause, err: err}
}
