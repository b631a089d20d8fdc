// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crashpoint names the moments of a renewal at which the operator may die, for hack/chaos to
// kill it there. Reach compiles to nothing unless the build tag chaos is set:
//
//	go build -tags chaos -o bin/manager-chaos ./cmd/manager
//
// In such a build CHAOS_CRASH=point:n:KILL (or TERM) makes the process send itself that signal when it
// reaches the point for the n-th time, and CHAOS_TRACE names a file to which each reach is appended as
// "UnixNano point subject".
package crashpoint

// Point is a moment of a renewal. The numbers are the steps of the design's section on refreshes.
type Point string

const (
	// Decided (1): the live record is read and its token is due; nothing is written yet.
	Decided Point = "decided"
	// IntentWritten (2): the API server has the intent.
	IntentWritten Point = "intent-written"
	// TakenOver (2, 7): the intent stands in place of one that an attempt cut off had left.
	TakenOver Point = "taken-over"
	// RequestBefore (3): the request is sent next.
	RequestBefore Point = "request-before"
	// Answered (3): the new tokens are in memory and nowhere else.
	Answered Point = "answered"
	// Refused (3, 8): the request brought no token; what that means is not stored yet.
	Refused Point = "refused"
	// Journalled (4): the new tokens are on the local disk.
	Journalled Point = "journalled"
	// Saved (4): the API server has the new tokens; the journal has them still.
	Saved Point = "saved"
	// Trimmed (4): the journal does not have them any more.
	Trimmed Point = "trimmed"
	// Kept (5): the API server did not take the new tokens, and the keeper has them.
	Kept Point = "kept"
	// Published (6): the target Secret says what the record holds.
	Published Point = "published"
	// StatusWritten (6): so does the status.
	StatusWritten Point = "status-written"
	// Replaying (7): what the journal has of a former process is about to be saved.
	Replaying Point = "replaying"
)

// Points are all of them, in their order.
func Points() []Point {
	return []Point{
		Decided, IntentWritten, TakenOver, RequestBefore, Answered, Refused, Journalled, Saved, Trimmed, Kept,
		Published, StatusWritten, Replaying,
	}
}

// The environment of a build with the tag chaos.
const (
	// CrashVariable says where to die: point:n:signal.
	CrashVariable = "CHAOS_CRASH"
	// TraceVariable names the file that reaches are appended to.
	TraceVariable = "CHAOS_TRACE"
)
