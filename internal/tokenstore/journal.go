// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"encoding/json"
	"errors"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/journal"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// entry is an unsaved record in the journal, before it is sealed: all that settle needs to go on in
// another process.
type entry struct {
	Key     Key             `json:"key"`
	Consent bool            `json:"consent,omitzero"`
	Version string          `json:"version,omitzero"`
	Intent  *wireIntent     `json:"intent,omitempty"`
	Record  json.RawMessage `json:"record"`
}

// Replayed is what became of the files of a former process.
type Replayed struct {
	// Held are in the keeper now.
	Held int
	// Torn were not written to their end, and are removed: a crash came while they were.
	Torn int
	// Sealed are whole and were not opened. They are kept for a keyset, or a version of the operator,
	// that does.
	Sealed int
}

// Replay hands the keeper what a former process of this journal did not get saved, as if Save had just
// failed. Call it before the first use of the store: until a record is settled nobody begins on it. A
// record that somebody overtook meanwhile gives way as any other does, see merge.
func (s *Store) Replay(ctx context.Context) Replayed {
	ctx = context.WithoutCancel(ctx)
	var outcome Replayed
	newest := map[types.UID]*unsaved{}
	for _, file := range s.Journal.Files() {
		logger := log.FromContext(ctx).WithValues("file", file)
		u, err := s.reopen(ctx, file)
		switch {
		case errors.Is(err, journal.ErrTorn):
			logger.Info("a file of the journal was cut off while it was written, and is removed")
			s.Journal.Remove(file)
			outcome.Torn++
			continue
		case err != nil:
			logger.Error(err, "a file of the journal does not open and is kept: with the keyset that it was sealed with it opens at the next start")
			outcome.Sealed++
			continue
		}
		superseded := newest[u.key.UID]
		if superseded == nil || u.follows(superseded) {
			newest[u.key.UID] = u
		} else {
			superseded = u
		}
		if superseded != nil {
			s.Journal.Remove(superseded.file)
		}
	}
	for uid, u := range newest {
		log.FromContext(ctx).Info("a token of a former process is about to be saved", "connection", u.key.Namespace+"/"+u.key.Name)
		crashpoint.Reach(crashpoint.Replaying, uid)
		s.keep(ctx, u)
	}
	outcome.Held = len(newest)
	return outcome
}

// follows says which of two records of a connection came after the other. An attempt begins only when
// what came before it is stored, but the removal of a file may not have reached the disk: there may be
// files of records that were stored long ago.
func (u *unsaved) follows(other *unsaved) bool {
	if a, b := u.record.AuthorizedAt, other.record.AuthorizedAt; !a.Equal(b) {
		return a.After(b)
	}
	return u.record.Token.Obtained.After(other.record.Token.Obtained)
}

// append writes a record into the journal, once. Without it the record is saved all the same; the journal
// says so itself.
func (s *Store) append(ctx context.Context, u *unsaved) {
	if s.Journal == nil || u.file != "" {
		return
	}
	plain, err := encodeEntry(u)
	if err != nil {
		return // nor can it be written to the API server, which says so
	}
	sealed, err := s.Keyring.Seal(seal.PurposeJournal, "", plain)
	if err != nil {
		return
	}
	if u.file = s.Journal.Put(ctx, string(u.key.UID), sealed); u.file != "" {
		crashpoint.Reach(crashpoint.Journalled, u.key.UID)
	}
}

// trim removes a record that needs no saving any more from the journal.
func (s *Store) trim(u *unsaved) {
	if u.file != "" {
		s.Journal.Remove(u.file)
		crashpoint.Reach(crashpoint.Trimmed, u.key.UID)
	}
}

// reopen reads what append wrote. Its errors quote nothing of it.
func (s *Store) reopen(ctx context.Context, file string) (*unsaved, error) {
	sealed, err := s.Journal.Read(file)
	if err != nil {
		return nil, err
	}
	plain, err := s.Keyring.Unseal(ctx, seal.PurposeJournal, "", sealed)
	if err != nil {
		return nil, err
	}
	u, err := decodeEntry(plain)
	if err != nil {
		return nil, err
	}
	u.file = file
	return u, nil
}

func encodeEntry(u *unsaved) ([]byte, error) {
	record, err := encode(u.record)
	if err != nil {
		return nil, err
	}
	return json.Marshal(entry{u.key, u.consent, u.record.origin.version, toWire(u.record.origin.intent), record})
}

func decodeEntry(plain []byte) (*unsaved, error) {
	var e entry
	if err := json.Unmarshal(plain, &e); err != nil || e.Key.UID == "" {
		return nil, ErrUnknownForm
	}
	record, err := decode(e.Record)
	if err != nil {
		return nil, err
	}
	record = record.settled()
	record.origin = origin{version: e.Version, intent: e.Intent.intent()}
	return &unsaved{key: e.Key, record: record, consent: e.Consent}, nil
}
