// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	freshConnections = 200
	freshFor         = 2 * time.Minute
	freshLifetime    = 40 * time.Second
	// crashAfter is when the leader is killed.
	crashAfter = 40 * time.Second

	// What a crash can explain. The other process takes the lease over when it has not changed for
	// its duration. It looks every 900 ms and up to 1.2 times that longer (client-go's jitter): once
	// to see the last renewal, once to see that no other came. See leaseRetry of cmd/manager; the
	// duration is controller-runtime's default.
	leaseDuration = 15 * time.Second
	leaseLook     = 22 * 900 * time.Millisecond / 10
	// renewAll is for the new leader to renew all tokens, most of which are due by then.
	renewAll = 20 * time.Second
	// crashExplains is how long after the crash a target may hold an expired token.
	crashExplains = leaseDuration + 2*leaseLook + renewAll
)

// targetsStayFresh lets tokens live for 40 s, so that each is renewed when half of that is over, and
// kills the leader once.
//
// No target may hold an expired token, ever, but for crashExplains after the crash. A refresh that the
// crash cut in two explains more: until its intent ends, nobody knows whether the refresh token was
// spent, and if it was, the provider ends the consent when it comes again. For those connections alone
// a target may stay expired until the person who is asked then has consented anew.
func targetsStayFresh(t *testing.T, e *evidence) {
	w := newWorld(t, e, idp.Options{AccessTokenLifetime: freshLifetime, Rotation: true, ReuseDetection: true})
	leader := w.start(t)
	w.awaitLeader(t, leader)
	next := w.start(t)
	namespace := w.team(t, nil)
	sampler := w.sample(t, namespace)
	names := w.connected(t, namespace, freshConnections)
	began := time.Now()

	pass(t, crashAfter)
	crash := time.Now()
	w.kill(t, leader)
	cut := w.cutInTwo(t, namespace, names)
	w.awaitLeader(t, next)
	t.Logf("the next leader came %.1f s after the crash, which cut %d refreshes in two", time.Since(crash).Seconds(), len(cut))
	pass(t, freshFor-time.Since(began))

	lost := w.inNeedOfAPerson(t, namespace)
	for _, name := range lost {
		if !cut[name] {
			t.Errorf("%s needs a person, and the crash does not explain it", name)
		}
	}
	if n := w.provider.Reuses(); n > len(cut) {
		t.Errorf("%d spent refresh tokens came back; the crash explains %d", n, len(cut))
	}
	w.consent(t, namespace, lost)
	w.awaitReady(t, namespace, names)
	w.accepted(t, namespace, names)
	t.Logf("%d refreshes, %d reuses, %d lost", w.tokenRequests("refresh_token"), w.provider.Reuses(), len(lost))
	explained := func(target string) time.Duration {
		switch {
		case slices.Contains(lost, target):
			return time.Since(crash)
		case cut[target]:
			return crashExplains + tokenstore.IntentLifetime
		}
		return crashExplains
	}
	judge(t, sampler.stop(), crash, explained)
}

// judge compares what targets held with what the crash explains, in time since then.
func judge(t *testing.T, expired []expiredToken, crash time.Time, explained func(target string) time.Duration) {
	t.Helper()
	var longest, last time.Duration // of those that were not cut in two
	for _, x := range expired {
		after := x.until.Sub(crash)
		if explained(x.target) == crashExplains {
			longest, last = max(longest, x.until.Sub(x.since)), max(last, after)
		}
		switch {
		case x.since.Before(crash):
			t.Errorf("%s held an expired token for %s, %s before the crash", x.target, x.until.Sub(x.since), crash.Sub(x.since))
		case after > explained(x.target):
			t.Errorf("%s held an expired token until %s after the crash, which explains %s", x.target, after, explained(x.target))
		}
	}
	t.Logf("the crash left %d targets with an expired token, for %.1f s at most and until %.1f s after it",
		len(expired), longest.Seconds(), last.Seconds())
}

// cutInTwo reads the sealed records: those with an intent belong to refreshes that the crash ended
// somewhere between the decision and the save.
func (w *world) cutInTwo(t *testing.T, namespace string, names []string) map[string]bool {
	t.Helper()
	keyset := types.NamespacedName{Namespace: testenv.OperatorNamespace, Name: "oauth-operator-keyset"}
	keyring, err := seal.Open(t.Context(), seal.SecretSource(w.env.Client, keyset, nil))
	if err != nil {
		t.Fatal(err)
	}
	store := &tokenstore.Store{
		Client: w.env.Client, Namespace: testenv.OperatorNamespace, Keyring: keyring, Holder: "observer", Clock: clock.RealClock{},
	}
	cut := map[string]bool{}
	all, err := w.list(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		record, err := store.Get(t.Context(), tokenstore.Key{Namespace: namespace, Name: name, UID: all[name].UID})
		if err != nil {
			t.Fatal(err)
		}
		if record.Intent != nil {
			cut[name] = true
		}
	}
	return cut
}

// inNeedOfAPerson lists the connections that offer an address to start at.
func (w *world) inNeedOfAPerson(t *testing.T, namespace string) []string {
	t.Helper()
	var names []string
	all, err := w.list(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range all {
		if c.Status.AuthorizationURL != "" {
			names = append(names, name)
		}
	}
	return names
}
