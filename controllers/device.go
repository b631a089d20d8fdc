// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
)

// toldFor is how long an attempt whose code ran out is kept, so that kubectl oauth can say so.
const toldFor = time.Minute

// device takes an attempt with a device code (RFC 8628) one step further: it asks for the code, then,
// once in each interval, whether a person has typed it in. Only the leader does.
func (r *AuthorizationReconciler) device(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, left time.Duration) (time.Duration, error) {
	if wait := r.polls.wait(attempt.UID, r.Clock.Now()); wait > 0 {
		return min(wait, left), nil
	}
	step := r.askDevice
	if attempt.Status.SealedFlow != "" {
		step = r.pollDevice
	}
	var next time.Duration
	left, err := r.inTurn(ctx, attempt, left, func(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (err error) {
		if next, err = step(ctx, attempt); err != nil {
			return r.refuse(ctx, attempt, err)
		}
		return nil
	})
	if next == 0 || err != nil {
		return left, err
	}
	r.polls.after(attempt.UID, r.Clock.Now(), next)
	return min(next, left), nil
}

func (r *AuthorizationReconciler) askDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (time.Duration, error) {
	if !r.Attempts.Modes.Allows(attempt.Spec.Method) {
		return 0, connect.Refuse(connect.MethodNotAllowed)
	}
	return r.Attempts.StartDevice(ctx, attempt)
}

func (r *AuthorizationReconciler) pollDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (time.Duration, error) {
	flow, ok := r.Attempts.Device(ctx, attempt)
	switch {
	case !ok:
		return 0, connect.Refuse(connect.BadResponse)
	case !r.Attempts.Modes.Allows(attempt.Spec.Method):
		return 0, connect.Refuse(connect.MethodNotAllowed)
	case !r.polls.known(attempt.UID):
		return flow.Interval, nil // when the former leader has asked last is not known
	}
	return r.Attempts.PollDevice(ctx, attempt, flow)
}

// polls remembers when a provider may be asked again about each attempt: a change of the object, which
// wakes the reconciler, is no reason to.
type polls struct {
	mu   sync.Mutex
	next map[types.UID]time.Time
}

// after makes the next poll of an attempt wait, and forgets those that are long over.
func (p *polls) after(uid types.UID, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = map[types.UID]time.Time{}
	}
	for other, at := range p.next {
		if now.Sub(at) > connect.Lifetime {
			delete(p.next, other)
		}
	}
	p.next[uid] = now.Add(wait)
}

// wait is how long an attempt has to wait for its next poll.
func (p *polls) wait(uid types.UID, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next[uid].Sub(now)
}

// known says whether this process has asked about an attempt.
func (p *polls) known(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, found := p.next[uid]
	return found
}
