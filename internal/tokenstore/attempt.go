// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

const (
	// IntentLifetime fences a refresh token while it may be in use: a token request (30 s), the save
	// after it (10 s), and fenceSlack.
	IntentLifetime = 45 * time.Second
	// fenceSlack is for the write of the intent itself, and for clocks that differ.
	fenceSlack = 5 * time.Second
	// saveTimeout bounds one try to save.
	saveTimeout = 10 * time.Second
	// saveRounds bounds how often one try gives way to other writers; the keeper goes on after it.
	saveRounds = 5
	// unreadableFor is how long a stored record that does not open keeps one from being saved over it: a
	// keyset that was rotated just now is learnt by then.
	unreadableFor = 30 * time.Second
)

// errContended says that other writers came first in every round.
var errContended = errors.New("too many others write the record")

// Begin announces a token request: it stores an intent in place of the version r was read from. Every
// Begin that succeeds must be followed by Save, Fail, Withdraw, Delete or Abandon; until then Flush waits. It
// is not begun once ctx has ended, and ends by itself within 10 s once it is.
//
// It fails with ErrInFlight where another holder's intent stands (see FencedUntil), with ErrUnsaved
// where the keeper holds a newer record, with ErrConflict where r is not what is stored. This process's
// own intent is taken over: of an attempt of its own it knows how it ended. An intent of another holder is
// taken over when it has expired, or at once where that holder is known to be dead, and returned as
// Interrupted: what that holder did with the refresh token is not known. Where it is the token that is
// still held, Doubt says so from then on; to decide that is the caller's.
func (s *Store) Begin(ctx context.Context, key Key, r *Record) (*Record, error) {
	if s.Pending(key.UID) {
		return nil, ErrUnsaved
	}
	now, found := s.Clock.Now(), r.origin.intent
	foreign := found != nil && found.Holder != s.Holder
	if now.Before(s.FencedUntil(key, r)) {
		return nil, ErrInFlight
	}
	next := r.settled()
	next.Intent = &Intent{Attempt: string(uuid.NewUUID()), Holder: s.Holder, Deadline: now.Add(IntentLifetime)}
	if !r.Token.RefreshToken.IsZero() {
		next.Intent.RefreshTokenHash = r.Token.RefreshToken.Hash()
	}
	if foreign && next.Doubt == nil && found.RefreshTokenHash != "" && found.RefreshTokenHash == next.Intent.RefreshTokenHash {
		next.Doubt = &Doubt{Since: found.Deadline.Add(-IntentLifetime), Cause: DoubtInterrupted}
	}

	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Cut off halfway it could be stored all the same, by a process that ends and never sends the request.
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	s.keeper.begin(key.UID)
	stored, err := s.write(detached, key, next)
	if err != nil {
		s.keeper.end(key.UID)
		return nil, fmt.Errorf("begin: %w", err)
	}
	if s.Clock.Now().Sub(now) > fenceSlack {
		s.keeper.end(key.UID)
		return s.Begin(ctx, key, stored) // what is left of the fence is too short for a request and its save
	}
	s.keeper.dropHarmless(key.UID)
	if r.origin.version == "" {
		s.keeper.revive(key.UID)
	}
	crashpoint.Reach(crashpoint.IntentWritten, key.UID)
	if foreign {
		crashpoint.Reach(crashpoint.TakenOver, key.UID)
		stored.Interrupted = copied(found)
	}
	return stored, nil
}

// Save stores the outcome of an attempt. It does not end with ctx: the provider has already answered.
//
// Where the API server does not take the record within 10 s, the keeper holds it and tries until it is
// stored; Save returns it with ErrUnsaved then. Where somebody else's record stays (see merge), Save
// returns that one with ErrConflict. Where the record was deleted meanwhile it fails with ErrNotFound:
// somebody gave the grant up, be it in another process.
func (s *Store) Save(ctx context.Context, key Key, r *Record) (*Record, error) {
	defer s.keeper.end(key.UID)
	return s.save(ctx, &unsaved{key: key, record: r.settled()})
}

// Replace stores a new consent over whatever is there, be it unreadable; only a consent that was given
// still later stays. Otherwise it is as Save.
func (s *Store) Replace(ctx context.Context, key Key, r *Record) (*Record, error) {
	s.keeper.revive(key.UID)
	return s.save(ctx, &unsaved{key: key, record: r.settled(), consent: true})
}

// Fail ends an attempt that brought no token: the intent goes, the token stays, the failure is
// remembered, also where the record was sealed anew or amended since. It does not end with ctx and is not
// kept where it fails: the intent expires by itself.
func (s *Store) Fail(ctx context.Context, key Key, r *Record, f Failure) (*Record, error) {
	next := r.settled()
	next.Failure = &f
	return s.finish(ctx, key, next)
}

// Withdraw ends an attempt that sent nothing, as Fail does, with no failure to remember.
func (s *Store) Withdraw(ctx context.Context, key Key, r *Record) (*Record, error) {
	return s.finish(ctx, key, r.settled())
}

// Harmless says that the attempt which r announces is one of this process that ended without spending the
// refresh token, and that only the write of how it ended failed.
func (s *Store) Harmless(key Key, r *Record) bool {
	return r.origin.intent != nil && s.keeper.isHarmless(key.UID, r.origin.intent.Attempt)
}

// finish ends an attempt without a new token.
func (s *Store) finish(ctx context.Context, key Key, next *Record) (*Record, error) {
	defer s.keeper.end(key.UID)
	if announced := next.origin.intent; announced != nil && next.Doubt == nil {
		s.keeper.noteHarmless(key.UID, announced.Attempt)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	stored, err := s.write(ctx, key, next)
	if errors.Is(err, ErrConflict) {
		if theirs, readErr := s.read(ctx, key); readErr == nil && ownAttempt(next, theirs) {
			next.origin.version = theirs.origin.version
			stored, err = s.write(ctx, key, next)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("end an attempt: %w", err)
	}
	s.keeper.dropHarmless(key.UID)
	return stored, nil
}

// Abandon ends an attempt that was cut off between Begin and its Save or Fail, by a panic: Flush does not
// wait for it any longer. Its intent expires by itself. After the attempt's end it does nothing, so that
// it can be deferred.
func (s *Store) Abandon(key Key) { s.keeper.end(key.UID) }

// Amend stores what was learnt about a token after it was saved: one plain compare-and-swap, which leaves
// an intent as it is. Where somebody else's write came first it fails with ErrConflict, and nothing is
// lost that cannot be asked for again.
func (s *Store) Amend(ctx context.Context, key Key, r *Record) (*Record, error) {
	next := r.settled()
	next.Intent = copied(r.origin.intent)
	stored, err := s.write(ctx, key, next)
	if err != nil {
		return nil, fmt.Errorf("amend the record: %w", err)
	}
	return stored, nil
}

func (s *Store) save(ctx context.Context, u *unsaved) (*Record, error) {
	s.keeper.enter()
	defer s.keeper.leave()
	ctx = context.WithoutCancel(ctx)
	s.append(ctx, u)
	if u.consent {
		s.keeper.drop(u.key.UID)
	}
	stored, err := s.settle(ctx, u)
	if err == nil || final(err) {
		crashpoint.Reach(crashpoint.Saved, u.key.UID)
		s.trim(u)
		return stored, err
	}
	if kept := s.keep(ctx, u); kept != u {
		s.trim(u)
		return kept.record.clone(), ErrConflict
	}
	crashpoint.Reach(crashpoint.Kept, u.key.UID)
	return u.record.clone(), fmt.Errorf("%w: %w", ErrUnsaved, err)
}

// final says that trying again cannot change the outcome.
func final(err error) bool { return errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) }

// settle writes a record, or finds out that another one stays.
func (s *Store) settle(ctx context.Context, u *unsaved) (*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	next := u.record.clone()
	for range saveRounds {
		if s.keeper.forgotten(u.key.UID) {
			return nil, ErrNotFound
		}
		stored, err := s.write(ctx, u.key, next)
		if err == nil {
			return s.unlessForgotten(ctx, u.key, stored)
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		theirs, err := s.read(ctx, u.key)
		switch {
		case errors.Is(err, ErrNotFound) && (u.consent || next.origin.version == ""):
			next.origin.version = ""
			continue
		case errors.Is(err, seal.ErrUnsealable) && (u.consent || s.unreadable(u)):
			next.origin.version = theirs.origin.version
			continue
		case err != nil:
			return nil, err
		}
		switch merge(next, theirs, u.consent) {
		case theirsStay:
			return theirs, ErrConflict
		case alreadyStored:
			return theirs, nil
		}
		next.origin.version = theirs.origin.version
	}
	return nil, errContended
}

// unreadable says that the stored record has not opened for so long that ours, which does, takes its place.
func (s *Store) unreadable(u *unsaved) bool {
	now := s.Clock.Now()
	if u.unreadable.IsZero() {
		u.unreadable = now
	}
	return now.Sub(u.unreadable) >= unreadableFor
}

// unlessForgotten takes back what was created while the connection was being deleted.
func (s *Store) unlessForgotten(ctx context.Context, key Key, stored *Record) (*Record, error) {
	if !s.keeper.forgotten(key.UID) {
		return stored, nil
	}
	secret, version := &corev1.Secret{ObjectMeta: s.name(key)}, stored.origin.version
	err := s.Client.Delete(ctx, secret, client.Preconditions{ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("remove the record of a deleted connection: %w", err)
	}
	return nil, ErrNotFound
}
