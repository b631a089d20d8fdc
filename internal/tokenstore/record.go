// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Record is what is kept of one connection. The zero Record is one that was never stored: storing it
// creates the Secret. A Record that the Store returned belongs to the caller.
type Record struct {
	// Fingerprint of the issuer, endpoints and client that the tokens belong to.
	Fingerprint string
	Grant       string
	// Token is stored without what belongs to its answer only: IDToken, Header and Body. A grant that
	// was seeded starts with nothing but a refresh token.
	Token oauth.Token
	// Previous is the access token before Token's.
	Previous oauth.Secret
	// Account is who consented, as the provider's account expression says.
	Account         string
	RequestedScopes []string
	// AuthorizedAt is when a person consented or the grant was seeded.
	AuthorizedAt time.Time
	// Authorization is the OAuthAuthorization by which a person consented, empty for other grants.
	Authorization types.UID
	// Seed is the hash of the refresh token that the grant started from, empty where a person consented.
	Seed string
	// Metadata are the values that the provider's description asks to keep.
	Metadata map[string]string
	// Issues are what the provider's description got wrong about the token's answer, in fixed words.
	Issues []string
	// IDTokenCause says why the ID token that came last was not the provider's for this client; empty
	// where it was, and where none came.
	IDTokenCause string
	// Introspected says that the token's life was asked for (RFC 7662).
	Introspected bool
	Refreshes    int64
	// Request is the hash of the request to refresh that the last attempt answered.
	Request string
	// Ended is a fixed reason where the grant is known to be over; EndedCode is the provider's, see
	// oauth.Error.
	Ended, EndedCode string
	// Failure is the last failed try, nil after a success.
	Failure *Failure
	// Doubt is there where the refresh token may have been spent without its successor being saved. It
	// stays until the caller clears it, in the record of a token that was obtained since.
	Doubt *Doubt
	// Spec is what the sweeper needs to give the grant up once the connection is gone. The store does
	// not look into it.
	Spec []byte

	// Intent is the attempt that is stored as under way. Begin sets it, Save, Fail, Withdraw and
	// Replace clear it; what callers put here is not looked at.
	Intent *Intent
	// Interrupted is the attempt of another holder that Begin took over: that holder may have spent the
	// refresh token without saving what it got. It is not stored; Doubt is.
	Interrupted *Intent

	origin origin
}

// origin is what the API server held when the record was read or written. Compare-and-swap and fencing
// rest on it, so that nothing a caller does to the exported fields can lift them.
type origin struct {
	version string
	intent  *Intent
}

// Intent announces a token request before it is sent.
type Intent struct {
	// Attempt is unique.
	Attempt string
	// Holder is the process that makes the request.
	Holder string
	// Deadline ends the fence: request and save are over by then, or the holder is dead.
	Deadline time.Time
	// RefreshTokenHash is the SHA-256 of the token that is about to be spent, empty where there is none.
	RefreshTokenHash string
}

// Failure is what a failed token request leaves for the next try.
type Failure struct {
	// Count of failures in a row.
	Count int32
	Kind  oauth.Kind
	// Code and Status are of the provider's answer, see oauth.Error.
	Code   string
	Status int
	// At is when it failed, Since when the first failure in a row did.
	At, Since time.Time
	// RetryAt is zero where only a change helps. A change is another Generation of the connection or
	// another Revision of what it refers to (see provider.Resolved) than these.
	RetryAt    time.Time
	Generation int64
	Revision   string
	// NotBefore is when the provider wants to be asked again at the earliest (Retry-After), zero where
	// it did not say. No request by a person comes before it.
	NotBefore time.Time
}

// Doubt is why a held refresh token may not be good any more.
type Doubt struct {
	// Since is when the request was made that may have spent it.
	Since time.Time
	// Cause is one of the causes below.
	Cause string
}

// The causes of a Doubt.
const (
	// DoubtInterrupted: a process ended between its request and the save of the answer.
	DoubtInterrupted = "interrupted"
	// DoubtUnanswered: a request was sent and no answer came that says what became of it.
	DoubtUnanswered = "unanswered"
	// DoubtRestored: the record is older than one that was seen before; a backup came back.
	DoubtRestored = "restored"
)

// Anew is an empty record that takes the place of r, which may be nil. What was asked for stays answered.
func (r *Record) Anew() *Record {
	if r == nil {
		return &Record{}
	}
	return &Record{Request: r.Request, origin: r.origin}
}

// clone copies everything a caller could change.
func (r *Record) clone() *Record {
	c := *r
	c.RequestedScopes, c.Issues, c.Metadata = slices.Clone(r.RequestedScopes), slices.Clone(r.Issues), maps.Clone(r.Metadata)
	c.Token.Scopes = slices.Clone(r.Token.Scopes)
	c.Intent, c.Interrupted, c.Failure, c.Doubt = copied(r.Intent), copied(r.Interrupted), copied(r.Failure), copied(r.Doubt)
	c.Spec = slices.Clone(r.Spec)
	return &c
}

// settled is the record as it is stored when no attempt is under way.
func (r *Record) settled() *Record {
	c := r.clone()
	c.Intent, c.Interrupted = nil, nil
	c.Token.IDToken, c.Token.Body, c.Token.Header = oauth.Secret{}, nil, nil
	return c
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
