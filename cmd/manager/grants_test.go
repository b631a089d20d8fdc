// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// refreshToken has a person consent elsewhere and returns the refresh token that the record would hold:
// what somebody holds already who moves to the operator.
func (w *world) refreshToken() string {
	w.Helper()
	var got string
	w.provider.Fault(idp.Token, 1, idp.Rewrite(func(body map[string]any) { got, _ = body["refresh_token"].(string) }))
	conn := w.connected("elsewhere", "deletionPolicy: Orphan")
	if err := env.Client.Delete(w.Context(), conn); err != nil || got == "" {
		w.Fatal(err, "or no refresh token")
	}
	return got
}

const seedSpec = allScopes + "seed: {secretRef: {name: seed, key: token}}\n"

func TestASeedIsReadOnceAndMayGoAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("seeded", w.inline(seedSpec))
	if c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSeedInvalid); !strings.Contains(c.Message, `"seed"`) {
		t.Errorf("the condition does not name the Secret: %s", c.Message)
	}
	w.createSecret("seed", map[string]string{"token": w.refreshToken() + "\n"})
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "now")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if conn.Status.Account != w.user.Email || !w.accepted("seeded") {
		t.Errorf("status\n%s", describe(conn))
	}
	if err := env.Client.Delete(t.Context(), w.target("seed")); err != nil {
		t.Fatal(err)
	}
	w.refreshed(conn)
	w.refreshed(conn)
	if w.provider.Reuses() != 0 {
		t.Error("the seed was sent again")
	}
	w.provider.RevokeConsents(w.user.Name)
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "again")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
}

func TestASeedOfAnotherAccountIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.createSecret("seed", map[string]string{"token": w.refreshToken()})
	conn := w.apply("seeded", w.inline(seedSpec+"expectedAccount: bob@example.com"))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	if !strings.Contains(c.Message, `account "alice@example.com" is connected`) {
		t.Error(c.Message)
	}
	err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "seeded"}, &corev1.Secret{})
	if client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("a Secret was published (%v)", err)
	}
	if len(w.records(conn)) != 1 {
		t.Error("the token, which spent the seed, is not kept")
	}
}

func TestAGrantThatWasGivenUpIsNotPlantedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.createSecret("seed", map[string]string{"token": w.refreshToken()})
	conn := w.apply("seeded", w.inline(seedSpec))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	requests := w.provider.Count(idp.Token)
	w.annotate(conn, v1alpha1.DisconnectRequestedAnnotation, "now")
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if !strings.Contains(c.Message, "given up on request") || w.provider.Count(idp.Token) != requests {
		t.Errorf("%s; %d token requests after it", c.Message, w.provider.Count(idp.Token)-requests)
	}
}

func TestALifeThatTheAnswerDoesNotTellIsAskedForOnce(t *testing.T) {
	t.Parallel()
	o := rotating
	o.Introspection = true
	w := newWorld(t, o)
	w.provider.Fault(idp.Token, 1, idp.NoExpiry())
	conn := w.connected("alice", "")
	w.eventually("the expiry", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return conn.Status.ExpiresAt != nil && conn.Status.RefreshAt != nil, describe(conn)
	})
	w.annotate(conn, "touched", "1")
	w.annotate(conn, "touched", "2")
	w.refreshed(conn)
	if n := w.provider.Count(idp.Introspection); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestTheLastDaysOfAGrantAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("alice", w.inline(allScopes))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if page := w.connect(conn); page.Status != http.StatusOK {
		t.Fatal(page.Status)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if conn.Status.RefreshTokenExpiresAt != nil {
		t.Errorf("status\n%s", describe(conn))
	}
	w.patch(conn, "{provider: {refresh: {absoluteLifetime: 4s}}}")
	c := w.await(conn, v1alpha1.GrantExpiringCondition, metav1.ConditionTrue, v1alpha1.ReasonGrantEnds)
	if !strings.Contains(c.Message, "kubectl oauth connect alice") || conn.Status.RefreshTokenExpiresAt == nil {
		t.Errorf("status\n%s", describe(conn))
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.patch(conn, "{provider: {refresh: {absoluteLifetime: 8760h}}}")
	w.eventually("the condition to go", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return !strings.Contains(describe(conn), v1alpha1.GrantExpiringCondition), describe(conn)
	})
}

func TestAnIDTokenOfAnotherClientCostsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	foreign, err := w.provider.Sign(map[string]any{
		"iss": w.provider.Issuer(), "aud": "somebody-else", "sub": "mallory", "email": "mallory@example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	conn := w.connected("alice", "")
	w.provider.Fault(idp.Token, 1, idp.Rewrite(func(body map[string]any) { body["id_token"] = foreign }))
	w.refreshed(conn)
	c := w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionTrue, v1alpha1.ReasonIDTokenInvalid)
	if !strings.Contains(c.Message, "made for another client") || conn.Status.Account != w.user.Email || !w.accepted("alice") {
		t.Errorf("%s\n%s", c.Message, describe(conn))
	}
	w.refreshed(conn)
	w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionTrue, v1alpha1.ReasonAuthorized)
}

func TestAnExpressionThatGivesNonsenseIsNamedAndCostsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("odd", "provider: {issuer: ISSUER, tokenResponse: {expiresIn: body.token_type}, metadata: [{name: kept, value: body.token_type, pattern: '[0-9]+'}, {name: shown, value: body.token_type}]}\n"+
		"client: {id: "+idp.DefaultClient().ID+", secretRef: {name: client}}\nsecret: {template: {data: {kind: '{{ .metadata.shown }}'}}}\n"+allScopes)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	c := w.await(conn, v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonResponseInvalid)
	if !strings.Contains(c.Message, "tokenResponse.expiresIn") || !strings.Contains(c.Message, "kept") {
		t.Error(c.Message)
	}
	if got := string(w.target("odd").Data["kind"]); got != "Bearer" {
		t.Errorf("the template gives %q", got)
	}
}

func TestARefusedSubjectTokenIsTriedAgainOnceItsSecretHasAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, idp.Options{})
	var requests atomic.Int32
	provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("subject_token") != "fresh" {
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = rw.Write([]byte(`{"error":"invalid_request","error_description":"` + idp.ProviderText + `"}`))
			return
		}
		_, _ = rw.Write([]byte(`{"access_token":"traded","expires_in":3600}`))
	}))
	t.Cleanup(provider.Close)
	w.createSecret("subject", map[string]string{"token": "stale"})
	conn := w.apply("traded", "grant: TokenExchange\nprovider: {endpoints: {token: '"+provider.URL+"'}}\nsubject: {secretRef: {name: subject, key: token}}")
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonRequestRejected)
	if !strings.Contains(c.Message, "key token of Secret subject (spec.subject.secretRef") || strings.Contains(c.Message, idp.ProviderText) {
		t.Error(c.Message)
	}
	w.annotate(conn, "touched", "1")
	stored := w.target("subject")
	stored.Data["token"] = []byte("fresh")
	if err := env.Client.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	w.annotate(conn, "touched", "2") // it would be looked at within half a minute
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if n := requests.Load(); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}
}
