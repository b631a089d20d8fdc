// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const deviceSpec = "grant: DeviceCode\n" + allScopes

// television is a world whose provider has a page for codes.
func television(t *testing.T, o idp.Options) *world {
	c := idp.DefaultClient()
	c.Grants = []string{idp.GrantDeviceCode, "refresh_token"}
	o.Clients, o.Rotation, o.ReuseDetection, o.AccessTokenLifetime = []idp.Client{c}, true, true, time.Hour
	return newWorld(t, o)
}

// attemptBy creates an OAuthAuthorization of a method without a loopback address.
func (w *world) attemptBy(connection string, method v1alpha1.PairingMethod) *v1alpha1.OAuthAuthorization {
	w.Helper()
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: connection + "-"},
		Spec:       v1alpha1.OAuthAuthorizationSpec{Connection: connection, Requester: "jane", Method: method},
	}
	if err := env.Client.Create(w.Context(), attempt); err != nil {
		w.Fatal(err)
	}
	return attempt
}

// typeIn walks the provider's page for codes, in a browser anywhere.
func (w *world) typeIn(attempt *v1alpha1.OAuthAuthorization, walk func(*idp.Browser) (*idp.Page, error)) {
	w.Helper()
	if page, err := walk(&idp.Browser{}); err != nil || page.Status != http.StatusOK {
		w.Fatalf("%v, %+v", err, page)
	}
}

func TestACodeTypedInAtTheProviderConnectsTheAccount(t *testing.T) {
	t.Parallel()
	w := television(t, idp.Options{})
	conn := w.apply("tv", w.inline(deviceSpec))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if !strings.Contains(c.Message, "kubectl oauth connect tv -n "+w.namespace) || conn.Status.AuthorizationURL != "" || conn.Status.RedirectURI != "" {
		t.Errorf("status\n%s", describe(conn))
	}
	attempt := w.attemptBy("tv", v1alpha1.PairingDevice)
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForProvider)
	status := attempt.Status
	if status.UserCode == "" || status.VerificationURI != w.provider.URL(idp.DeviceCode) || !strings.Contains(status.VerificationURIComplete, status.UserCode) ||
		status.ExpiresAt == nil || status.AuthorizationURL != "" {
		t.Fatalf("status: %+v", status)
	}
	for _, issued := range w.provider.Issued() {
		if strings.Contains(status.SealedFlow, issued) {
			t.Error("the device code can be read in the status")
		}
	}
	w.typeIn(attempt, func(b *idp.Browser) (*idp.Page, error) {
		return b.Connect(t.Context(), status.VerificationURIComplete, w.user)
	})
	w.awaitAttempt(attempt, v1alpha1.ReasonConnected)
	if attempt.Status.Account != w.user.Email {
		t.Errorf("status: %+v", attempt.Status)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if !w.accepted("tv") {
		t.Error("the provider does not take the token in the Secret")
	}
	w.refreshed(conn)
}

func TestThePollsKeepToTheProvidersInterval(t *testing.T) {
	t.Parallel()
	w := television(t, idp.Options{DeviceInterval: 2 * time.Second})
	w.apply("tv", w.inline(deviceSpec))
	w.provider.Fault(idp.Token, 1, idp.OAuthError("slow_down", http.StatusBadRequest))
	attempt := w.attemptBy("tv", v1alpha1.PairingDevice)
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForProvider)
	polls := func() []idp.Request { return w.provider.Requests(idp.Token) }
	w.eventually("two polls", func() (bool, string) {
		touched := attempt.DeepCopy() // a change of the object is no reason to ask
		touched.Labels = map[string]string{"touched": time.Now().Format("150405.000")}
		_ = env.Client.Patch(t.Context(), touched, client.MergeFrom(attempt))
		return len(polls()) >= 2, ""
	})
	if gap := polls()[1].Time.Sub(polls()[0].Time); gap < 7*time.Second {
		t.Errorf("after slow_down the next poll came in %s, want 7 s or more", gap)
	}
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForProvider)
}

func TestADeviceAttemptEndsAsThePersonOrTheClockDecides(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options idp.Options
		spec    string
		decide  func(*world, *v1alpha1.OAuthAuthorization)
		reason  string
		message string
	}{
		"denied": {decide: func(w *world, a *v1alpha1.OAuthAuthorization) {
			w.typeIn(a, func(b *idp.Browser) (*idp.Page, error) {
				return b.Deny(w.Context(), a.Status.VerificationURIComplete, w.user)
			})
		}, reason: v1alpha1.ReasonDenied, message: "the consent was denied"},
		"nobody types": {options: idp.Options{DeviceLifetime: 10 * time.Second}, reason: v1alpha1.ReasonCodeExpired, message: "nobody typed the code in before it ran out"},
		"another account": {spec: "expectedAccount: bob@example.com\n", decide: func(w *world, a *v1alpha1.OAuthAuthorization) {
			w.typeIn(a, func(b *idp.Browser) (*idp.Page, error) {
				return b.Connect(w.Context(), a.Status.VerificationURIComplete, w.user)
			})
		}, reason: v1alpha1.ReasonAccountNotExpected, message: "account alice@example.com consented"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := television(t, row.options)
			conn := w.apply("tv", w.inline(deviceSpec+row.spec))
			attempt := w.attemptBy("tv", v1alpha1.PairingDevice)
			w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForProvider)
			if row.decide != nil {
				row.decide(w, attempt)
			}
			if c := w.awaitAttempt(attempt, row.reason); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, row.message) {
				t.Errorf("%+v", c)
			}
			if w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired); len(w.records(conn)) != 0 {
				t.Error("something is stored")
			}
		})
	}
}

func TestAProviderThatGivesNoDeviceCodeIsAskedAboutWithTheFieldAtHand(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]idp.Fault{
		"no such page":             idp.Status(http.StatusNotFound, "lost"),
		"no answer that it is":     idp.Status(http.StatusOK, "{}"),
		"a client without a right": idp.OAuthError("unauthorized_client", http.StatusBadRequest),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := television(t, idp.Options{})
			w.apply("tv", w.inline(deviceSpec))
			w.provider.Fault(idp.DeviceAuthorization, 1, fault)
			c := w.awaitAttempt(w.attemptBy("tv", v1alpha1.PairingDevice), v1alpha1.ReasonExchangeFailed)
			if !strings.Contains(c.Message, "allows the client this grant, and endpoints.deviceAuthorization") || strings.Contains(c.Message, idp.ProviderText) {
				t.Error(c.Message)
			}
		})
	}
}

func TestEachGrantHasItsOwnWayIn(t *testing.T) {
	t.Parallel()
	w := television(t, idp.Options{})
	w.apply("tv", w.inline(deviceSpec))
	w.apply("browser", w.inline(allScopes))
	for _, c := range []*metav1.Condition{
		w.awaitAttempt(w.attempt("tv", 1), v1alpha1.ReasonMethodNotAllowed),
		w.awaitAttempt(w.attemptBy("browser", v1alpha1.PairingDevice), v1alpha1.ReasonMethodNotAllowed),
	} {
		if c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "(grant ") {
			t.Errorf("%+v", c)
		}
	}
	if n := w.provider.Count(idp.DeviceAuthorization); n != 0 {
		t.Errorf("the provider was asked for %d codes", n)
	}
}
