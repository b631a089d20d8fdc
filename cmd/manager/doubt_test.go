// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

func recordKey(conn *v1alpha1.OAuthConnection) tokenstore.Key {
	return tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
}

// otherProcess is the token store as another process of the operator has it, at some time.
func (w *world) otherProcess(at time.Time) *tokenstore.Store {
	w.Helper()
	keyset := types.NamespacedName{Namespace: testenv.OperatorNamespace, Name: keysetName}
	keyring, err := seal.Open(w.Context(), seal.SecretSource(env.Client, keyset, nil))
	if err != nil {
		w.Fatal(err)
	}
	return &tokenstore.Store{Client: env.Client, Namespace: testenv.OperatorNamespace, Keyring: keyring,
		Holder: w.namespace, Clock: clocktesting.NewFakePassiveClock(at)}
}

// killed is what a process leaves that began a renewal so long ago and was killed after the provider's answer.
func (w *world) killed(conn *v1alpha1.OAuthConnection, ago time.Duration) {
	w.Helper()
	other := w.otherProcess(time.Now().Add(-ago))
	r, err := other.Get(w.Context(), recordKey(conn))
	if err != nil {
		w.Fatal(err)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.Token.RefreshToken.Reveal()},
		"client_id": {idp.DefaultClient().ID}, "client_secret": {idp.DefaultClient().Secret}}
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.provider.URL(idp.Token), strings.NewReader(form.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != http.StatusOK {
		w.Fatalf("the provider answered the process that is killed with status %d", response.StatusCode)
	}
	// The intent comes last: the operator may look at it at once.
	if _, err := other.Begin(w.Context(), recordKey(conn), r); err != nil {
		w.Fatal(err)
	}
}

// warned waits for an event and returns how many there are of its kind, and what one says.
func (w *world) warned(reason string) (n int, note string) {
	w.Helper()
	w.eventually("an event "+reason, func() (bool, string) {
		var list eventsv1.EventList
		if err := env.Client.List(w.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return false, err.Error()
		}
		n = 0
		for _, e := range list.Items {
			if e.Reason == reason {
				n, note = n+1, e.Note
			}
		}
		return n > 0, "there is none"
	})
	return n, note
}

func (w *world) contains(text string, words ...string) {
	w.Helper()
	for _, part := range words {
		if !strings.Contains(text, part) {
			w.Errorf("it says %q, not %q", text, part)
		}
	}
}

func TestARenewalThatAnotherProcessBeganIsWaitedForAndThenExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.killed(conn, tokenstore.IntentLifetime-15*time.Second)
	w.annotate(conn, "poke", "1")
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	w.contains(c.Message, "another process of the operator began at", "it is taken over at")
	if !meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ReadyCondition) || w.provider.Count(idp.Token) != 2 {
		t.Errorf("%d token requests; the status is\n%s", w.provider.Count(idp.Token), describe(conn))
	}
	c = w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	w.contains(c.Message, "most likely because the operator was killed", "between the provider's answer to the renewal of", "kubectl oauth connect alice -n "+w.namespace)
	if n, note := w.warned(v1alpha1.ReasonReauthorizationRequired); n != 1 {
		t.Errorf("%d events", n)
	} else {
		w.contains(note, "the operator was killed")
	}
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.refreshed(conn)
}

func TestARenewalThatWasCutOffIsMadeAgainWhereTheProviderGivesTime(t *testing.T) {
	t.Parallel()
	o := rotating
	o.RetryGrace = time.Minute
	w := newWorld(t, o)
	conn := w.connected("alice", "")
	w.killed(conn, tokenstore.IntentLifetime)
	w.annotate(conn, "poke", "1")
	w.eventually("a renewal", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return conn.Status.RefreshCount == 1 && meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.TokenFreshCondition), describe(conn)
	})
	w.refreshed(conn)
	if w.provider.Reuses() != 0 {
		t.Error("a spent refresh token was sent outside of the grace")
	}
}

func TestASpentTokenIsNotSentWhereTheProviderTellsThatItIs(t *testing.T) {
	t.Parallel()
	o := rotating
	o.Introspection = true
	w := newWorld(t, o)
	conn := w.connected("alice", "")
	held := string(w.target("alice").Data["access_token"])
	w.killed(conn, tokenstore.IntentLifetime)
	w.annotate(conn, "poke", "1")
	// Before the provider is asked the attempt is left to whoever began it.
	w.eventually("an answer of the provider", func() (bool, string) {
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn)
		fresh := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.TokenFreshCondition)
		return err == nil && fresh != nil && strings.Contains(fresh.Message, "calls it inactive"), describe(conn)
	})
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonAtRisk)
	w.contains(c.Message, "the operator was killed", "calls it inactive", "it is tried all the same at", "kubectl oauth connect alice -n "+w.namespace)
	if w.provider.Reuses() != 0 || !w.provider.AccessTokenValid(held) || string(w.target("alice").Data["access_token"]) != held {
		t.Error("the access token that worked does not any more")
	}
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.refreshed(conn)
}

func TestALostAnswerIsToldAndExplainsTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.provider.Fault(idp.Token, 1, idp.DropAfterProcessing())
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "1")
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonAtRisk)
	w.contains(c.Message, "got no answer that can be used", "it is asked again at", "there is nothing to do unless", "kubectl oauth connect alice")
	c = w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	w.contains(c.Message, "most likely because the provider's answer to the renewal of", "never arrived")
	if n, _ := w.warned(v1alpha1.ReasonAtRisk); n != 1 {
		t.Errorf("%d events tell of the risk", n)
	}
}

func TestABackupThatComesBackIsToldAsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	backup := w.records(conn)[0]
	w.refreshed(conn)
	held := string(w.target("alice").Data["access_token"])

	record := w.records(conn)[0]
	record.Data, record.Annotations = backup.Data, backup.Annotations
	if err := env.Client.Update(t.Context(), &record); err != nil {
		t.Fatal(err)
	}
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonAtRisk)
	w.contains(c.Message, "came back from a backup", "it is tried at", "kubectl oauth connect alice -n "+w.namespace)
	if n, note := w.warned("BackupRestored"); n != 1 {
		t.Errorf("%d events", n)
	} else {
		w.contains(note, "it is older than the token obtained at")
	}
	if string(w.target("alice").Data["access_token"]) != held || !w.accepted("alice") {
		t.Error("an older token was put over the one that works")
	}
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "again")
	c = w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	w.contains(c.Message, "restored from a backup")
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.annotate(conn, "poke", "2")
	w.refreshed(conn)
	if n, _ := w.warned("BackupRestored"); n != 1 {
		t.Error("a new consent is taken for a backup")
	}
}

func TestARequestToRefreshDoesNotJumpARetryAfter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.provider.Fault(idp.Token, 1, idp.Throttle(time.Hour))
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "1")
	w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionFalse, v1alpha1.ReasonThrottled)
	asked := w.provider.Count(idp.Token)
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "2")
	w.eventually("an answer to the request", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return conn.Status.LastHandledRefresh == "2", describe(conn)
	})
	c := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.TokenFreshCondition)
	if c.Reason != v1alpha1.ReasonThrottled || w.provider.Count(idp.Token) != asked {
		t.Errorf("%d more requests; %s: %s", w.provider.Count(idp.Token)-asked, c.Reason, c.Message)
	}
}
