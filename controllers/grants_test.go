// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const day = 24 * time.Hour

func TestTheEndOfAGrantIsToldInItsLastDaysOnly(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*pass)
		ends     time.Duration // from now; zero: it is not known
		expiring bool
		wake     time.Duration // zero: not because of this
	}{
		"not known":                      {change: func(*pass) {}},
		"far away":                       {change: ending(365*day, 300*day), ends: 300 * day, wake: 293 * day},
		"the last week":                  {change: ending(365*day, 6*day), ends: 6 * day, expiring: true},
		"a short one, in its first days": {change: ending(8*day, 6*day), ends: 6 * day, wake: 4 * day},
		"a short one, in its last":       {change: ending(8*day, day), ends: day, expiring: true},
		"over":                           {change: ending(8*day, -day), ends: -day, expiring: true},
		"a refresh token that is replaced before": {change: func(p *pass) {
			p.client.Rotation, p.record.Token.RefreshTokenExpiry = oauth.Rotating, noon.Add(2*day)
		}},
		"a refresh token that cannot be replaced for a moment": {change: func(p *pass) {
			unreplaced(60*day, 60*day)(p)
			p.record.Token.RefreshTokenExpiry, p.record.Token.Obtained = noon.Add(20*time.Minute), noon.Add(-10*time.Minute)
		}, ends: 20 * time.Minute, wake: 12*time.Minute + 30*time.Second},
		"a refresh token that cannot be replaced": {change: unreplaced(60*day, 2*day), ends: 2 * day, expiring: true},
		"ended already":          {change: func(p *pass) { ending(8*day, day)(p); p.record.Ended = endedRefused }},
		"a person is waited for": {change: func(p *pass) { ending(8*day, day)(p); p.personNeeded = true }, ends: day},
		"a client of its own":    {change: func(p *pass) { ending(8*day, day)(p); p.conn.Spec.Grant = v1alpha1.GrantClientCredentials }},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon, c.change)
			p.Starts.Modes.Pairing = true
			recorder := events.NewFakeRecorder(10)
			p.Events = recorder
			for range 2 { // the second look says nothing new
				p.describeEnd()
			}
			found := meta.FindStatusCondition(p.conn.Status.Conditions, v1alpha1.GrantExpiringCondition)
			if (found != nil) != c.expiring || len(recorder.Events) != map[bool]int{true: 1}[c.expiring] {
				t.Errorf("the condition is %+v, and there are %d events", found, len(recorder.Events))
			}
			if found != nil && !strings.Contains(found.Message, "kubectl oauth connect github -n team-a") {
				t.Error(found.Message)
			}
			if over := found != nil && strings.Contains(found.Message, "was to end at"); over != (c.ends < 0) {
				t.Errorf("%s", found.Message)
			}
			told := p.conn.Status.RefreshTokenExpiresAt
			if (told != nil) != (c.ends != 0) || told != nil && !told.Equal(&metav1.Time{Time: noon.Add(c.ends)}) {
				t.Errorf("refreshTokenExpiresAt is %v", told)
			}
			if want := noon.Add(c.wake); c.wake != 0 && !p.wakeAt.Equal(want) || c.wake == 0 && !p.wakeAt.IsZero() {
				t.Errorf("the next look is at %s, want %s", p.wakeAt, want)
			}
		})
	}
}

// unreplaced is a long grant whose refresh token lasts so long in all and so long from now, and was not
// replaced when it should have been.
func unreplaced(whole, left time.Duration) func(*pass) {
	return func(p *pass) {
		p.client.Rotation, p.record.AuthorizedAt = oauth.Rotating, noon.Add(-1000*day)
		p.record.Token.Obtained, p.record.Token.RefreshTokenExpiry = noon.Add(left-whole), noon.Add(left)
		p.record.Failure = failed(oauth.Transient, time.Minute)
	}
}

// ending is a grant that lasts so long in all, and so long from now.
func ending(whole, left time.Duration) func(*pass) {
	return func(p *pass) {
		p.client.AbsoluteLifetime, p.record.AuthorizedAt = whole, noon.Add(left-whole)
	}
}

func TestWhatADescriptionSaysOfARefusalIsSaid(t *testing.T) {
	rules := []oauth.ErrorRule{
		{Code: "invalid_grant", Contains: "AADSTS50173", Cause: "the person changed the password", Next: "connect the account again"},
		{Code: "invalid_client", Contains: "AADSTS7000222", Cause: "the client secret has expired", Next: "make a new one in the portal"},
		{Code: "throttled_client", Cause: "the plan's limit is reached"},
	}
	for name, c := range map[string]struct {
		record func(*tokenstore.Record)
		says   []string
		not    string
	}{
		"a grant that ended": {func(r *tokenstore.Record) { r.Ended, r.EndedCode = endedRefused, "AADSTS50173" },
			[]string{"ended the grant (AADSTS50173): the person changed the password; connect the account again"}, "revoked, replaced"},
		"one without a rule": {func(r *tokenstore.Record) { r.Ended, r.EndedCode = endedRefused, "login_required" },
			[]string{"ended the grant (login_required): it was revoked, replaced or has expired"}, ""},
		"one of an older record": {func(r *tokenstore.Record) { r.Ended = endedRefused },
			[]string{"ended the grant (invalid_grant): it was revoked"}, ""},
		"a client": {func(r *tokenstore.Record) {
			r.Failure = failed(oauth.ClientRejected, time.Hour)
			r.Failure.Code = "AADSTS7000222"
		}, []string{"refused the client (AADSTS7000222): the client secret has expired; make a new one in the portal", "noticed within 30s"}, "check client id"},
		"a limit": {func(r *tokenstore.Record) {
			r.Failure = failed(oauth.Throttled, time.Hour)
			r.Failure.Code = "throttled_client"
		}, []string{"asked to wait (throttled_client): the plan's limit is reached; it is asked again at"}, ""},
	} {
		p := walkAt(noon, func(p *pass) { p.client.Errors = rules; c.record(p.record) })
		halt := p.grantMissing()
		if halt == nil {
			halt = stopOf(t, p.failureStop())
		}
		for _, part := range c.says {
			if !strings.Contains(halt.Message, part) || c.not != "" && strings.Contains(halt.Message, c.not) {
				t.Errorf("%s: the message is %q; it does not say %q, or says %q", name, halt.Message, part, c.not)
			}
		}
	}
}

func TestASeedIsPlantedOnlyWhereNothingGrows(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pass)
		want   bool
	}{
		"nothing is held":             {func(p *pass) { p.record = nil }, true},
		"the grant ended":             {func(p *pass) { p.record.Ended = endedRefused }, true},
		"another client's":            {func(p *pass) { p.client.Fingerprint = "other" }, true},
		"an earlier seed of another":  {func(p *pass) { p.record.Seed, p.record.Account, p.conn.Spec.ExpectedAccount = "hash", "b", "a" }, true},
		"a person's grant of another": {func(p *pass) { p.record.Account, p.conn.Spec.ExpectedAccount = "b", "a" }, false},
		"scopes were added":           {func(p *pass) { p.client.Scopes = []string{"more"} }, false},
		"the record cannot be read":   {func(p *pass) { p.record.Ended = endedUnreadable }, false},
		"a grant is held and works":   {func(*pass) {}, false},
		"a seed that brought no token yet": {func(p *pass) {
			p.record.Seed, p.record.Token.AccessToken, p.conn.Spec.ExpectedAccount = "hash", oauth.Secret{}, "a"
		}, false},
	} {
		p := walkAt(noon, nil)
		c.change(p)
		if got := p.overgrown(); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

func TestATokenIsKeptAliveBelowItsIdleTimeout(t *testing.T) {
	p := walkAt(noon, func(p *pass) { p.client.IdleTimeout, p.record.Token.Expiry = 40*day, time.Time{} })
	if left := p.refreshAt.Sub(noon); left < 26*day || left > 30*day {
		t.Errorf("it is renewed after %s", left)
	}
	p = walkAt(noon, func(p *pass) {
		p.client.IdleTimeout, p.record.Token.Expiry, p.record.Token.RefreshToken = 40*day, time.Time{}, oauth.Secret{}
	})
	if !p.refreshAt.IsZero() {
		t.Errorf("without a refresh token it is renewed at %s", p.refreshAt)
	}
	p = walkAt(time.Time{}, func(p *pass) {
		p.client.IdleTimeout, p.record.Token = 40*day, oauth.Token{RefreshToken: oauth.NewSecret("seed")}
	})
	if !p.refreshAt.IsZero() || !p.mustRenew() {
		t.Errorf("a seed is renewed at %s, and not at once", p.refreshAt)
	}
}

func TestALifeIsAskedForInATokensFirstHourWhereSomebodyCanBeAsked(t *testing.T) {
	known := func(p *pass) { p.client.Endpoints.Introspection = "https://idp.example/introspect" }
	for name, c := range map[string]struct {
		change         func(*pass)
		unknown, rests bool
	}{
		"of an endpoint":  {known, true, false},
		"of an issuer":    {func(p *pass) { p.client.Issuer = "https://idp.example" }, true, false},
		"of nobody":       {func(*pass) {}, true, true},
		"asked already":   {func(p *pass) { known(p); p.record.Introspected = true }, false, true},
		"of an old token": {func(p *pass) { known(p); p.record.Token.Obtained = noon.Add(-time.Hour) }, false, true},
	} {
		p := walkAt(noon, func(p *pass) { p.record.Token.Expiry = time.Time{}; c.change(p) })
		if got := lifeUnknown(p.record, noon); got != c.unknown || p.atRest() != c.rests {
			t.Errorf("%s: %t, at rest %t", name, got, p.atRest())
		}
	}
	if p := walkAt(noon, known); lifeUnknown(p.record, noon) {
		t.Error("a life that is known is asked for")
	}
}

// roundTripper answers in a provider's place.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatIntrospectionSaysOfATokensLifeIsBelievedWhereItCanBe(t *testing.T) {
	unix := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	for name, c := range map[string]struct {
		answer string
		want   time.Time
		issues int
	}{
		"an hour":            {`{"active":true,"exp":` + unix(noon.Add(time.Hour)) + `}`, noon.Add(time.Hour), 0},
		"nothing":            {`{"active":true}`, time.Time{}, 0},
		"before it was made": {`{"active":true,"exp":` + unix(noon.Add(-time.Hour)) + `}`, time.Time{}, 0},
		"not its own":        {`{"active":false}`, time.Time{}, 1},
	} {
		p := walkAt(noon, func(p *pass) {
			p.record.Token.Expiry = time.Time{}
			p.client.Endpoints = oauth.Endpoints{Token: "https://idp.example.com/token", Introspection: "https://idp.example.com/introspect"}
			p.client.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if end, bounded := r.Context().Deadline(); !bounded || time.Until(end) > introspectTimeout {
					t.Errorf("%s: the worker waits until %s", name, end)
				}
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(c.answer)), Header: http.Header{}, Request: r}, nil
			})}
		})
		next := *p.record
		if p.introspect(t.Context(), &next); !next.Token.Expiry.Equal(c.want) || !next.Introspected || len(next.Issues) != c.issues {
			t.Errorf("%s: %+v", name, next)
		}
	}
}

func TestADeviceCodeIsAskedForOnlyWhereItIsSwitchedOn(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "tv-1", UID: "1", CreationTimestamp: metav1.Time{Time: noon}},
		Spec:       v1alpha1.OAuthAuthorizationSpec{Connection: "tv", Requester: "jane", Method: v1alpha1.PairingDevice},
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(attempt).WithStatusSubresource(attempt).Build()
	everythingElse := connect.Modes{Pairing: true, PairingCode: true, SignIn: true, Link: time.Hour}
	r := &AuthorizationReconciler{Client: api, Clock: clocktesting.NewFakePassiveClock(noon), Attempts: &connect.Attempts{
		Client: api, Connections: api, Resolver: &provider.Resolver{}, Clock: clocktesting.NewFakePassiveClock(noon),
		Metrics: connect.NewMetrics(prometheus.NewRegistry()), Modes: everythingElse,
	}}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(attempt)}); err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(attempt), attempt); err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(attempt.Status.Conditions, v1alpha1.CompletedCondition)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonMethodNotAllowed || attempt.Status.UserCode != "" {
		t.Errorf("status: %+v", attempt.Status)
	}
}

func TestThePollsOfAnAttemptAreSpacedHoweverOftenItIsLookedAt(t *testing.T) {
	var p polls
	if p.known("1") || p.wait("1", noon) > 0 {
		t.Error("an attempt that was never asked about waits")
	}
	p.after("1", noon, 5*time.Second)
	for after, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 2 * time.Second: 3 * time.Second, 5 * time.Second: 0} {
		if got := p.wait("1", noon.Add(after)); got != want {
			t.Errorf("after %s it waits %s, want %s", after, got, want)
		}
	}
	p.after("2", noon.Add(time.Hour), time.Second)
	if p.known("1") {
		t.Error("attempts that are long over are remembered")
	}
}
