// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

const (
	// slowDown is what slow_down adds to the interval (RFC 8628 section 3.5).
	slowDown = 5 * time.Second
	// slowest bounds what failures make of the interval: a provider is asked again while the code is good.
	slowest = time.Minute
)

// DeviceFlow is one device authorization (RFC 8628). It is sealed into the attempt's status, and kept
// nowhere else.
type DeviceFlow struct {
	ConnectionUID string        `json:"connUID"`
	Fingerprint   string        `json:"fp"`
	DeviceCode    string        `json:"device"`
	Interval      time.Duration `json:"interval"`
	Expires       time.Time     `json:"exp"`
}

// deviceSubject keeps a sealed device code from being used with another attempt, or as another flow.
func deviceSubject(attempt *v1alpha1.OAuthAuthorization) string {
	return "device/" + string(attempt.UID)
}

// StartDevice asks the provider for a code and tells it to the requester's kubectl oauth. It returns how
// long to wait before the first poll, or fails with a *Refusal.
func (a *Attempts) StartDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (time.Duration, error) {
	t, err := a.DeviceTarget(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}, "")
	if err != nil {
		return 0, err
	}
	asked, err := t.Client.AskDevice(ctx)
	if err != nil {
		return 0, refuseBy(&t.Client.Client, err, "a device code was asked for (RFC 8628): check that the provider allows the client this grant, and endpoints.deviceAuthorization")
	}
	f := &DeviceFlow{
		ConnectionUID: string(t.Connection.UID),
		Fingerprint:   t.Client.Fingerprint,
		DeviceCode:    asked.DeviceCode.Reveal(),
		Interval:      asked.Interval,
		Expires:       a.expiry(attempt),
	}
	if asked.Expires.Before(f.Expires) {
		f.Expires = asked.Expires
	}
	attempt.Status.UserCode = asked.UserCode
	attempt.Status.VerificationURI, attempt.Status.VerificationURIComplete = asked.VerificationURI, asked.VerificationURIComplete
	attempt.Status.ExpiresAt = &metav1.Time{Time: f.Expires}
	a.setCompleted(attempt, metav1.ConditionUnknown, v1alpha1.ReasonWaitingForProvider,
		"waiting for the requester to type status.userCode in at status.verificationURI")
	a.Metrics.Started()
	return f.Interval, a.noteDevice(ctx, attempt, f)
}

// Device opens the device authorization of an attempt.
func (a *Attempts) Device(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (*DeviceFlow, bool) {
	plain, err := a.Keyring.UnsealText(ctx, seal.PurposeFlow, deviceSubject(attempt), attempt.Status.SealedFlow)
	if err != nil {
		return nil, false
	}
	f := &DeviceFlow{}
	return f, json.Unmarshal(plain, f) == nil
}

func (a *Attempts) noteDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, f *DeviceFlow) error {
	sealed, err := a.sealed(f, deviceSubject(attempt))
	if err != nil {
		return err
	}
	attempt.Status.SealedFlow = sealed
	return a.Client.Status().Update(ctx, attempt)
}

// PollDevice asks once whether the person has consented, and ends the attempt where that is decided. It
// returns how long to wait before the next poll, or fails with a *Refusal.
func (a *Attempts) PollDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, f *DeviceFlow) (time.Duration, error) {
	if !a.Clock.Now().Before(f.Expires) {
		return 0, Refuse(CodeExpired)
	}
	t, err := a.DeviceTarget(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}, types.UID(f.ConnectionUID))
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Verdict == NotReady {
		return f.Interval, nil // it may be so again before the code runs out
	}
	if err != nil {
		return 0, err
	}
	if t.Client.Fingerprint != f.Fingerprint {
		return 0, Refuse(ClientChanged)
	}
	// As in Settle: what the provider answers is kept whatever happens meanwhile.
	defer a.Store.Hold()()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SettleTimeout)
	defer cancel()
	token, err := t.Client.PollDevice(ctx, oauth.NewSecret(f.DeviceCode))
	if err != nil {
		if interval := nextPoll(err, f.Interval); interval > 0 {
			return a.waitFor(ctx, attempt, f, interval)
		}
		return 0, a.endDevice(ctx, attempt, t, a.deviceRefused(ctx, t, attempt, err))
	}
	return 0, a.endDevice(ctx, attempt, t, a.accept(ctx, &grant{target: t, attempt: attempt.UID, token: token}))
}

// nextPoll is the interval from here on, or zero where the answer is the last one (RFC 8628 section 3.5).
func nextPoll(err error, interval time.Duration) time.Duration {
	e, ok := errors.AsType[*oauth.Error](err)
	switch {
	case !ok:
		return 0
	case e.Code == "authorization_pending":
		return interval
	case e.Code == "slow_down":
		return interval + slowDown
	case len(e.Issues) > 0: // it was no refusal, and the code is spent
		return 0
	}
	switch e.Kind {
	case oauth.Unreachable, oauth.Transient, oauth.Throttled, oauth.Unexpected, oauth.Ambiguous:
		return max(interval, min(max(2*interval, e.RetryAfter), slowest))
	}
	return 0
}

// waitFor keeps a longer interval, for whoever polls next.
func (a *Attempts) waitFor(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, f *DeviceFlow, interval time.Duration) (time.Duration, error) {
	if interval == f.Interval {
		return interval, nil
	}
	f.Interval = interval
	err := a.noteDevice(ctx, attempt, f)
	if apierrors.IsConflict(err) {
		err = nil // it was only touched; the provider says it again
	}
	return interval, err
}

// deviceRefused is how an attempt ends that the provider polls no more for. A code that was spent by a
// process which did not live to say so has connected the account all the same.
func (a *Attempts) deviceRefused(ctx context.Context, t *Target, attempt *v1alpha1.OAuthAuthorization, err error) *Result {
	g := &grant{target: t}
	if record, failed := a.Store.Get(ctx, g.key()); failed == nil && record.Authorization == attempt.UID {
		return &Result{Verdict: Connected, Account: record.Account}
	}
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == "access_denied" {
		return &Result{Verdict: Denied}
	} else if ok && e.Code == "expired_token" {
		return &Result{Verdict: CodeExpired}
	}
	log.FromContext(ctx).Error(err, "asking whether a device code was used", "connection", t.Connection.Namespace+"/"+t.Connection.Name)
	return refusedBy(&t.Client.Client, err)
}

func (a *Attempts) endDevice(ctx context.Context, attempt *v1alpha1.OAuthAuthorization, t *Target, r *Result) error {
	a.Metrics.count(r.Verdict)
	a.announce(t.Connection, r)
	return a.Complete(ctx, attempt, r)
}
