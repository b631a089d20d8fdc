// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// walkAt is a pass at noon over a connection that holds an hour-long token obtained at that time.
func walkAt(obtained time.Time, change func(*pass)) *pass {
	p := &pass{
		ConnectionReconciler: &ConnectionReconciler{Clock: clocktesting.NewFakePassiveClock(noon), Events: events.NewFakeRecorder(10)},
		conn:                 &v1alpha1.OAuthConnection{},
		now:                  noon,
		client:               &provider.Resolved{DisplayName: "Example", Fingerprint: "f"},
		record: &tokenstore.Record{Fingerprint: "f", Grant: "AuthorizationCode", Token: oauth.Token{
			AccessToken: oauth.NewSecret("access"), RefreshToken: oauth.NewSecret("refresh"),
			Obtained: obtained, Expiry: obtained.Add(time.Hour),
		}},
	}
	p.conn.Name, p.conn.Namespace, p.conn.Generation = "github", "team-a", 1
	p.conn.Spec.Grant = v1alpha1.GrantAuthorizationCode
	if change != nil {
		change(p)
	}
	if p.record != nil {
		p.record.Spec = provider.Keep(p.conn)
	}
	p.refreshAt = dueAt(p.record, p.schedule())
	return p
}

func failed(kind oauth.Kind, retryIn time.Duration) *tokenstore.Failure {
	f := &tokenstore.Failure{Count: 1, Kind: kind, At: noon.Add(-time.Minute), Since: noon.Add(-time.Minute), Generation: 1}
	if retryIn != 0 {
		f.RetryAt = noon.Add(retryIn)
	}
	return f
}

func stopOf(t *testing.T, err error) *stop {
	t.Helper()
	var halt *stop
	if !errors.As(err, &halt) {
		t.Fatalf("%v is no stop", err)
	}
	return halt
}

func TestATokenIsRenewedExactlyWhenItHasTo(t *testing.T) {
	for name, c := range map[string]struct {
		age    time.Duration
		change func(*pass)
		want   bool
	}{
		"fresh":                 {age: time.Minute, want: false},
		"due":                   {age: 55 * time.Minute, want: true},
		"expired":               {age: 2 * time.Hour, want: true},
		"clocks differ":         {age: -2 * time.Second, want: false},
		"the clock jumped back": {age: -time.Hour, want: true}, // the token ends earlier than its record says
		"asked for":             {age: time.Minute, want: true, change: func(p *pass) { p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"} }},
		"asked for and done already": {age: time.Minute, want: false, change: func(p *pass) {
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
			p.conn.Status.LastHandledRefresh = "1"
		}},
		"asked for and done, but the status was not written": {age: time.Minute, want: false, change: func(p *pass) {
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
			p.record.Request = requestHash("1")
		}},
		"no expiry":        {age: 1000 * time.Hour, want: false, change: func(p *pass) { p.record.Token.Expiry = time.Time{} }},
		"no refresh token": {age: 55 * time.Minute, want: false, change: func(p *pass) { p.record.Token.RefreshToken = oauth.Secret{} }},
		"no refresh token, asked for": {age: 55 * time.Minute, want: false, change: func(p *pass) {
			p.record.Token.RefreshToken = oauth.Secret{}
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
		}},
		"the first of a client": {want: true, change: func(p *pass) { p.conn.Spec.Grant = v1alpha1.GrantClientCredentials; p.record.Token = oauth.Token{} }},
		"the next of a client": {age: 55 * time.Minute, want: true, change: func(p *pass) {
			p.conn.Spec.Grant, p.record.Grant = v1alpha1.GrantClientCredentials, "ClientCredentials"
			p.record.Token.RefreshToken = oauth.Secret{}
		}},
		"a client whose scopes changed": {age: time.Minute, want: true, change: func(p *pass) {
			p.conn.Spec.Grant, p.record.Grant = v1alpha1.GrantClientCredentials, "ClientCredentials"
			p.client.Scopes, p.record.RequestedScopes = []string{"read"}, []string{"read", "write"}
		}},
		"a client whose scopes changed, backing off": {age: time.Minute, want: false, change: func(p *pass) {
			p.conn.Spec.Grant, p.record.Grant = v1alpha1.GrantClientCredentials, "ClientCredentials"
			p.client.Scopes, p.record.Failure = []string{"refused"}, failed(oauth.Misconfigured, 0)
		}},
		"backing off":                            {age: 55 * time.Minute, want: false, change: func(p *pass) { p.record.Failure = failed(oauth.Transient, time.Second) }},
		"the backoff is over":                    {age: 55 * time.Minute, want: true, change: func(p *pass) { p.record.Failure = failed(oauth.Transient, -time.Second) }},
		"waiting for a change":                   {age: 55 * time.Minute, want: false, change: func(p *pass) { p.record.Failure = failed(oauth.Misconfigured, 0) }},
		"waiting for a change, the spec changed": {age: 55 * time.Minute, want: true, change: func(p *pass) { p.record.Failure = failed(oauth.Misconfigured, 0); p.conn.Generation = 2 }},
		"rejected, the Secret or the provider object changed": {age: 55 * time.Minute, want: true, change: func(p *pass) {
			p.record.Failure = failed(oauth.ClientRejected, time.Hour)
			p.client.Revision = "2"
		}},
		"backing off, asked for": {age: 55 * time.Minute, want: true, change: func(p *pass) {
			p.record.Failure = failed(oauth.Transient, time.Second)
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
		}},
		"told to wait, asked for": {age: 55 * time.Minute, want: false, change: func(p *pass) {
			p.record.Failure = failed(oauth.Throttled, time.Minute)
			p.record.Failure.NotBefore = noon.Add(time.Minute)
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
		}},
		"told to wait, the spec changed": {age: 55 * time.Minute, want: false, change: func(p *pass) {
			p.record.Failure = failed(oauth.Throttled, time.Minute)
			p.record.Failure.NotBefore, p.conn.Generation = noon.Add(time.Minute), 2
		}},
		"told to wait, and it is over": {age: 55 * time.Minute, want: true, change: func(p *pass) {
			p.record.Failure = failed(oauth.Throttled, -time.Second)
			p.record.Failure.NotBefore = noon
		}},
		"an attempt that nobody ended": {age: time.Minute, want: true, change: func(p *pass) {
			p.record.Intent = &tokenstore.Intent{Holder: "another", Deadline: noon}
		}},
		"back from a backup, may be spent":    {age: time.Minute, want: false, change: func(p *pass) { p.record.Doubt = restored() }},
		"back from a backup, cannot be spent": {age: time.Minute, want: true, change: func(p *pass) { p.record.Doubt, p.client.Rotation = restored(), oauth.Static }},
	} {
		t.Run(name, func(t *testing.T) {
			if got := walkAt(noon.Add(-c.age), c.change).mustRenew(); got != c.want {
				t.Errorf("mustRenew() = %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheNextTryFollowsTheClassOfTheFailure(t *testing.T) {
	const never = -1
	for name, c := range map[string]struct {
		cause    oauth.Error
		before   *tokenstore.Failure
		change   func(*pass)
		min, max time.Duration
	}{
		"not reached":                              {cause: oauth.Error{Kind: oauth.Unreachable}, min: 4 * time.Second, max: 6 * time.Second},
		"failed, rotating, no window":              {cause: oauth.Error{Kind: oauth.Transient}, min: 4 * time.Second, max: 6 * time.Second},
		"failed, static":                           {cause: oauth.Error{Kind: oauth.Transient}, change: func(p *pass) { p.client.Rotation = oauth.Static }, min: time.Second, max: time.Second},
		"lost, inside the window":                  {cause: oauth.Error{Kind: oauth.Ambiguous}, change: func(p *pass) { p.client.RetryWindow = time.Minute }, min: time.Second, max: time.Second},
		"lost again, inside the window":            {cause: oauth.Error{Kind: oauth.Ambiguous}, before: failed(oauth.Ambiguous, time.Second), change: func(p *pass) { p.client.RetryWindow = time.Minute }, min: 9 * time.Second, max: 11 * time.Second},
		"for a long time":                          {cause: oauth.Error{Kind: oauth.Transient}, before: &tokenstore.Failure{Count: 1000}, min: 270 * time.Second, max: 330 * time.Second},
		"asked to wait":                            {cause: oauth.Error{Kind: oauth.Throttled, RetryAfter: 10 * time.Minute}, min: 10 * time.Minute, max: 10 * time.Minute},
		"asked to wait, not said how long":         {cause: oauth.Error{Kind: oauth.Throttled}, min: 4 * time.Second, max: 6 * time.Second},
		"the client is rejected":                   {cause: oauth.Error{Kind: oauth.ClientRejected, Code: "invalid_client"}, min: 30 * time.Minute, max: 30 * time.Minute},
		"the request is rejected":                  {cause: oauth.Error{Kind: oauth.Misconfigured, Code: "invalid_scope"}, min: never, max: never},
		"the address is not allowed":               {cause: oauth.Error{Kind: oauth.Blocked}, min: 4 * time.Second, max: 6 * time.Second},
		"something else answered, such as a proxy": {cause: oauth.Error{Kind: oauth.Unexpected, Status: 404}, min: 4 * time.Second, max: 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon.Add(-time.Hour), c.change)
			p.record.Failure = c.before
			f := p.nextTry(&c.cause)
			if c.max == never {
				if !f.RetryAt.IsZero() {
					t.Errorf("it is tried again at %s, want only after a change", f.RetryAt)
				}
				return
			}
			if wait := f.RetryAt.Sub(noon); wait < c.min || wait > c.max {
				t.Errorf("it is tried again after %s, want between %s and %s", wait, c.min, c.max)
			}
		})
	}
}

func TestReadyStaysTrueThroughAPassingFailureUntilTheTokenExpires(t *testing.T) {
	for name, c := range map[string]struct {
		age     time.Duration
		kind    oauth.Kind
		status  metav1.ConditionStatus
		reason  string
		kstatus string
	}{
		"a passing failure, valid":      {50 * time.Minute, oauth.Transient, metav1.ConditionTrue, v1alpha1.ReasonRefreshFailed, v1alpha1.ReconcilingCondition},
		"a passing failure, expired":    {61 * time.Minute, oauth.Transient, metav1.ConditionFalse, v1alpha1.ReasonTokenExpired, v1alpha1.ReconcilingCondition},
		"throttled, valid":              {50 * time.Minute, oauth.Throttled, metav1.ConditionTrue, v1alpha1.ReasonThrottled, v1alpha1.ReconcilingCondition},
		"a lost answer, valid":          {50 * time.Minute, oauth.Ambiguous, metav1.ConditionTrue, v1alpha1.ReasonAtRisk, v1alpha1.ReconcilingCondition},
		"the client is rejected, valid": {50 * time.Minute, oauth.ClientRejected, metav1.ConditionFalse, v1alpha1.ReasonClientRejected, v1alpha1.StalledCondition},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon.Add(-c.age), nil)
			p.record.Failure = failed(c.kind, time.Second)
			if c.kind == oauth.Ambiguous {
				p.record.Doubt = &tokenstore.Doubt{Since: noon.Add(-time.Minute), Cause: tokenstore.DoubtUnanswered}
			}
			meta.SetStatusCondition(&p.conn.Status.Conditions, metav1.Condition{Type: v1alpha1.SecretPublishedCondition, Status: metav1.ConditionTrue})
			p.settleStep(v1alpha1.TokenFreshCondition, p.notDue())
			if err := p.summarize(t.Context()); err != nil {
				t.Fatal(err)
			}
			ready := meta.FindStatusCondition(p.conn.Status.Conditions, v1alpha1.ReadyCondition)
			if ready.Status != c.status || ready.Reason != c.reason {
				t.Errorf("Ready is %s (%s), want %s (%s)", ready.Status, ready.Reason, c.status, c.reason)
			}
			if !meta.IsStatusConditionTrue(p.conn.Status.Conditions, c.kstatus) {
				t.Errorf("%s is not set", c.kstatus)
			}
			if p.wakeAt.IsZero() || p.wakeAt.After(noon.Add(10*time.Minute)) {
				t.Errorf("the next look is at %s: a change of the token's state would be missed", p.wakeAt)
			}
		})
	}
}

func TestATokenThatLivesShorterThanTheOperatorWaitsIsRenewedAllTheSame(t *testing.T) {
	p := walkAt(noon.Add(-2*time.Second), func(p *pass) { p.record.Token.Expiry = noon.Add(-time.Second) })
	p.settleStep(v1alpha1.TokenFreshCondition, p.notDue())
	if p.wakeAt.IsZero() || !p.wakeAt.Equal(p.refreshAt) {
		t.Errorf("the next look is at %s, want %s, when it is due", p.wakeAt, p.refreshAt)
	}
}

func TestWhatWasUnreadableIsNotPassedOnToTheNextRecord(t *testing.T) {
	p := walkAt(noon, func(p *pass) { p.record = &tokenstore.Record{Ended: endedUnreadable} })
	if p.startRecord(); p.record.Ended != "" {
		t.Errorf("the new record is %q from the start", p.record.Ended)
	}
}

func TestATokenThatIsNotLookedAtIsNotCalledFresh(t *testing.T) {
	p := walkAt(noon, nil)
	p.settleStep(v1alpha1.TokenFreshCondition, p.notDue())
	if err := p.summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.results = nil
	p.settleStep(v1alpha1.ClientResolvedCondition, &stop{Reason: v1alpha1.ReasonClientInvalid, Message: "a cause"})
	if err := p.summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fresh := meta.FindStatusCondition(p.conn.Status.Conditions, v1alpha1.TokenFreshCondition); fresh.Status != metav1.ConditionUnknown {
		t.Errorf("TokenFresh is %s: %s", fresh.Status, fresh.Message)
	}
}

func TestAnUnreadableRecordIsLookedAtAgain(t *testing.T) {
	p := walkAt(noon, func(p *pass) { p.record = &tokenstore.Record{Ended: endedUnreadable} })
	if halt := stopOf(t, p.authorize(t.Context())); halt.Retry == 0 {
		t.Error("nobody tells when the keyset is restored")
	}
}

func TestARequestToRefreshIsAcknowledgedAlsoWhereNothingCanBeDone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pass)
		run    func(*pass, context.Context) error
	}{
		"no refresh token":   {func(p *pass) { p.record.Token.RefreshToken = oauth.Secret{} }, (*pass).renew},
		"a person is needed": {func(p *pass) { p.record = nil }, (*pass).authorize},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon, nil)
			p.Store = &tokenstore.Store{}
			p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
			c.change(p)
			_ = c.run(p, t.Context())
			if got := p.conn.Status.LastHandledRefresh; got != "1" {
				t.Errorf("it is %q: who asked waits for ever, and the next consent is followed by a renewal", got)
			}
		})
	}
}

func TestAFailureToReadTheRecordChangesNothingThatPeopleSee(t *testing.T) {
	p := walkAt(noon, nil)
	p.conn.Finalizers = []string{v1alpha1.Finalizer}
	p.conn.Status.Account = "octocat"
	meta.SetStatusCondition(&p.conn.Status.Conditions, metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady})
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	p.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(p.conn).WithStatusSubresource(p.conn).Build()
	p.Store = &tokenstore.Store{Client: interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return apierrors.NewServiceUnavailable("for a moment")
		},
	})}
	key := client.ObjectKeyFromObject(p.conn)
	if _, err := p.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err == nil {
		t.Error("it is not tried again")
	}
	after := &v1alpha1.OAuthConnection{}
	if err := p.Client.Get(t.Context(), key, after); err != nil {
		t.Fatal(err)
	}
	if !meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ReadyCondition) || after.Status.Account != "octocat" {
		t.Errorf("the status became %+v", after.Status)
	}
}

func TestAnAddressToStartAtFollowsThePublicURL(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	keyring, err := seal.Open(t.Context(), seal.SecretSource(fake.NewClientBuilder().WithScheme(scheme).Build(), types.NamespacedName{Name: "keyset"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	p := walkAt(noon, func(p *pass) { p.personNeeded = true })
	p.Starts = Starts{Keyring: keyring, PublicURL: "https://old.example.com", Modes: connect.Modes{Link: time.Hour}}
	look := func() string {
		address, err := p.startAddress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.conn.Status.AuthorizationURL = address
		return address
	}
	if first := look(); look() != first {
		t.Error("each look makes another address")
	}
	p.Starts.PublicURL = "https://new.example.com"
	if address := look(); !strings.HasPrefix(address, "https://new.example.com/connect/team-a/github?ticket=") {
		t.Errorf("people are still sent to %s", address)
	}
}

func TestWhatComesBackByItselfIsNotStalled(t *testing.T) {
	for reason, want := range map[string]bool{
		v1alpha1.ReasonProgressing:          false, // the API server failed
		v1alpha1.ReasonDiscoveryFailed:      false,
		v1alpha1.ReasonClientSecretNotFound: true,
		v1alpha1.ReasonIssuerMismatch:       true,
	} {
		halt := stopOf(t, resolveStop(&provider.Error{Reason: reason, Retry: time.Second}))
		if halt.Stalled != want || halt.Retry == 0 {
			t.Errorf("%s: Stalled is %v, looked at again after %s", reason, halt.Stalled, halt.Retry)
		}
	}
}

func TestAFailureThatLastsForADayAsksForAPerson(t *testing.T) {
	p := walkAt(noon.Add(-48*time.Hour), nil)
	p.record.Failure = failed(oauth.Unexpected, time.Minute)
	p.record.Failure.Since = noon.Add(-25 * time.Hour)
	halt := stopOf(t, p.failureStop())
	if !halt.Stalled {
		t.Error("it is not Stalled")
	}
}

func TestEveryFailureNamesTheNextStep(t *testing.T) {
	for kind, want := range map[oauth.Kind]string{
		oauth.Misconfigured:  "kubectl -n team-a annotate --overwrite oauthconnection github",
		oauth.Blocked:        "--allow-cidr",
		oauth.ClientRejected: "check client id and secret",
		oauth.Transient:      "asked again at",
		oauth.Throttled:      "asked again at",
		oauth.Ambiguous:      "asked again at",
	} {
		p := walkAt(noon, nil)
		p.record.Failure = failed(kind, time.Minute)
		if message := stopOf(t, p.failureStop()).Message; !strings.Contains(message, want) {
			t.Errorf("%s: %q does not say %q", kind, message, want)
		}
	}
}

func TestTheSameFailureReadsTheSameAtEveryLook(t *testing.T) {
	p := walkAt(noon, nil)
	p.record.Failure = failed(oauth.Transient, time.Minute)
	first := stopOf(t, p.failureStop()).Message
	p.now = noon.Add(30 * time.Second)
	if second := stopOf(t, p.failureStop()).Message; first != second {
		t.Errorf("%q became %q: status would be written at rest", first, second)
	}
}

func TestAGrantThatHasJustEndedIsNotSaidToBeRenewed(t *testing.T) {
	for name, c := range map[string]struct {
		ended string
		grant v1alpha1.GrantType
		want  bool
	}{
		"held":               {grant: v1alpha1.GrantAuthorizationCode, want: true},
		"ended":              {ended: endedRefused, grant: v1alpha1.GrantAuthorizationCode},
		"a client's own one": {ended: endedRefused, grant: v1alpha1.GrantClientCredentials, want: true},
	} {
		p := walkAt(noon, func(p *pass) { p.conn.Spec.Grant = c.grant })
		p.record.Ended = c.ended
		p.describeRecord()
		if got := p.conn.Status.RefreshAt != nil; got != c.want {
			t.Errorf("%s: the status tells of a renewal: %t", name, got)
		}
	}
}
