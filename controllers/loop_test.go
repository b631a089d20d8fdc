// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// A provider may refuse a client and ask to wait for longer than a refused client would. Each look reads at
// the API server.
func TestAProviderThatRefusesAndAsksToWaitIsNoReasonToLookWithoutEnd(t *testing.T) {
	for _, kind := range []oauth.Kind{oauth.ClientRejected, oauth.Misconfigured, oauth.Transient, oauth.Throttled, oauth.Unexpected} {
		p := walkAt(noon.Add(-time.Minute), nil)
		f := p.nextTry(&oauth.Error{Kind: kind, Status: 401, RetryAfter: time.Hour})
		p.record.Failure = &f
		looks := 0
		for now := noon; now.Before(f.NotBefore); looks++ {
			p.now, p.wakeAt = now, time.Time{}
			p.Clock = clocktesting.NewFakePassiveClock(now)
			if p.mustRenew() {
				t.Fatalf("%s: it is asked after %s", kind, now.Sub(noon))
			}
			_ = p.settleStep("", p.notDue())
			if now = p.wakeAt; now.IsZero() || looks > 200 {
				break
			}
		}
		if looks > 125 {
			t.Errorf("%s: %d looks in an hour", kind, looks)
		}
	}
}

func TestWhoMendsWhatAProviderRefusedIsHeardAfterTheWait(t *testing.T) {
	p := walkAt(noon.Add(-time.Minute), nil)
	f := p.nextTry(&oauth.Error{Kind: oauth.Misconfigured, Status: 400, RetryAfter: time.Hour})
	p.record.Failure = &f
	p.conn.Generation++
	_ = p.settleStep("", p.notDue())
	if want := noon.Add(time.Hour); !p.wakeAt.Equal(want) {
		t.Errorf("it is looked at again at %s, want %s", p.wakeAt, want)
	}
}
