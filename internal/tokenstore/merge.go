// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import "bytes"

// verdict is what becomes of a record that met another one.
type verdict int

const (
	oursWins verdict = iota
	theirsStay
	// alreadyStored: theirs is ours. The write had succeeded, only its answer was lost.
	alreadyStored
)

// merge decides between the record to be saved and the one that is stored instead of the expected
// version. consent says that ours is a consent just given (Replace), not the outcome of an attempt.
//
// An attempt began on a consent or a seed that was stored then, so a different one is newer, whatever the
// clocks say. Of two consents the later one stays: a keeper may come hours late. Within one consent our own
// intent means that nobody else wrote a token since; without it, the token obtained later stays.
func merge(ours, theirs *Record, consent bool) verdict {
	switch {
	case ownAttempt(ours, theirs):
		return oursWins
	case sameContent(ours, theirs):
		return alreadyStored
	case theirs.Authorization != ours.Authorization, theirs.Seed != ours.Seed:
		if consent && !theirs.AuthorizedAt.After(ours.AuthorizedAt) {
			return oursWins
		}
		return theirsStay
	case ours.Token.Obtained.After(theirs.Token.Obtained):
		return oursWins
	default:
		return theirsStay
	}
}

// ownAttempt says that the intent ours was begun with is still stored.
func ownAttempt(ours, theirs *Record) bool {
	mine, found := ours.origin.intent, theirs.origin.intent
	return mine != nil && found != nil && mine.Attempt == found.Attempt
}

// sameContent compares all that is stored but the intent, which the next attempt may have added.
func sameContent(ours, theirs *Record) bool {
	a, errA := encode(ours.settled())
	b, errB := encode(theirs.settled())
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
