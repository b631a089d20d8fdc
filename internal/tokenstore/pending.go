// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/crashpoint"
)

// sayAgain is how often the log tells of the same unsaved record; there may be thousands.
const sayAgain = 5 * time.Minute

// Pending says whether a record of this connection is held in memory only.
func (s *Store) Pending(uid types.UID) bool { return s.keeper.held(uid) != nil }

// Unsaved is how many records are held in memory only.
func (s *Store) Unsaved() int { return s.keeper.count() }

// Flush waits until no attempt, hold or write is under way in this process and every record is saved,
// or until ctx ends. Then the process may exit.
func (s *Store) Flush(ctx context.Context) error {
	for idle := s.keeper.wait(); idle != nil; idle = s.keeper.wait() {
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("%d records are not saved: %w", s.Unsaved(), ctx.Err())
		}
	}
	return nil
}

// Hold makes Flush wait until release is called: a provider is about to answer with what cannot be had
// again, and no attempt says so.
func (s *Store) Hold() (release func()) {
	s.keeper.enter()
	return s.keeper.leave
}

// Forget drops what is held of a connection that is being deleted, and keeps an attempt under way from
// creating its record again. A new consent or a new attempt lifts that.
func (s *Store) Forget(uid types.UID) {
	now := s.Clock.Now()
	s.standing.note(uid, nil, now)
	s.keeper.forget(uid, now)
}

// keep hands a record to the keeper and returns the one it holds now.
func (s *Store) keep(ctx context.Context, u *unsaved) *unsaved {
	ctx, u.stop = context.WithCancel(ctx)
	kept := s.keeper.put(u)
	if kept != u {
		u.stop()
		return kept
	}
	go s.retry(ctx, u)
	return u
}

// retry ends when the record is stored, superseded, or dropped.
func (s *Store) retry(ctx context.Context, u *unsaved) {
	defer s.keeper.release(u)
	defer s.trim(u)
	logger := log.FromContext(ctx).WithValues("connection", u.key.Namespace+"/"+u.key.Name)
	try := func() (*Record, error) {
		s.append(ctx, u) // again, where there was no room
		stored, err := s.settle(ctx, u)
		if final(err) {
			return nil, backoff.Permanent(err)
		}
		return stored, err
	}
	var said time.Time
	notify := func(err error, _ time.Duration) {
		if now := s.Clock.Now(); said.IsZero() || now.Sub(said).Abs() >= sayAgain {
			said = now
			logger.Info("a record is not saved yet; it is tried again until it is", "cause", err.Error())
		}
	}
	// Without a limit of its own: the record is all that is left of a spent token.
	_, err := backoff.Retry(ctx, try, backoff.WithBackOff(s.schedule()), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	if err != nil {
		logger.Info("an unsaved record is not needed any more", "cause", err.Error())
		return
	}
	crashpoint.Reach(crashpoint.Saved, u.key.UID)
	logger.Info("a held record is saved")
}

func (s *Store) schedule() backoff.BackOff {
	if s.Retry != nil {
		return s.Retry()
	}
	return &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, MaxInterval: 10 * time.Second, Multiplier: 2, RandomizationFactor: 0.5, // within stand
	}
}
