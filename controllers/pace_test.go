// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/pace"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

func TestOfAShortWaitNothingIsSaidAndOfALongOneWhyAndUntilWhen(t *testing.T) {
	for name, c := range map[string]struct {
		wait           pace.Wait
		change         func(*pass)
		reason         string // empty: nothing is said
		message, never string
	}{
		"short":     {wait: pace.Wait{Reason: pace.Told, Until: noon.Add(3 * time.Second)}},
		"not known": {wait: pace.Wait{Reason: pace.Crowded}},
		"told": {wait: pace.Wait{Reason: pace.Told, Until: noon.Add(10 * time.Minute)},
			reason: v1alpha1.ReasonThrottled, message: "told another connection to wait, and this one waits too until 2026-03-01T12:10:00Z", never: "of the client"},
		"down": {wait: pace.Wait{Reason: pace.Down, Until: noon.Add(20 * time.Second)},
			reason: v1alpha1.ReasonRefreshFailed, message: "asked again at 2026-03-01T12:00:20Z"},
		"paced": {wait: pace.Wait{Reason: pace.Paced, Until: noon.Add(10 * time.Minute)},
			reason: v1alpha1.ReasonThrottled, message: "expires soonest is renewed first", never: "12:10"},
		"short, after a failure": {wait: pace.Wait{}, change: func(p *pass) { p.record.Failure = failed(oauth.Transient, -time.Second) },
			reason: v1alpha1.ReasonRefreshFailed, message: "asked again at 2026-03-01T11:59:59Z"},
		"long, after a failure": {wait: pace.Wait{Reason: pace.Down, Until: noon.Add(20 * time.Second)}, change: func(p *pass) { p.record.Failure = failed(oauth.Transient, -time.Second) },
			reason: v1alpha1.ReasonRefreshFailed, message: "asked again at 2026-03-01T12:00:20Z"},
		"short, and the token expired": {wait: pace.Wait{}, change: func(p *pass) { p.record.Token.Expiry = noon.Add(-time.Second) },
			reason: v1alpha1.ReasonTokenExpired, message: "expired"},
		"after a refusal that was mended": {wait: pace.Wait{}, change: func(p *pass) { p.record.Failure = failed(oauth.ClientRejected, time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := walkAt(noon.Add(-55*time.Minute), c.change)
			err := p.inLine(c.wait)
			if p.wakeAt.Before(noon.Add(lineLook)) || p.wakeAt.After(noon.Add(slowLook)) {
				t.Errorf("it is looked at again at %s", p.wakeAt)
			}
			if c.reason == "" {
				if err != nil {
					t.Errorf("it says %v", err)
				}
				return
			}
			halt := stopOf(t, err)
			if halt.Reason != c.reason || !strings.Contains(halt.Message, c.message) || c.never != "" && strings.Contains(halt.Message, c.never) {
				t.Errorf("it says %v", halt)
			}
			if halt.Retry != 0 {
				t.Errorf("it asks again after %s, and is woken", halt.Retry)
			}
		})
	}
}

func TestARecordThatWasToldToWaitTeachesTheLaneOfItsClient(t *testing.T) {
	told := walkAt(noon.Add(-55*time.Minute), func(p *pass) {
		p.client.Endpoints.Token = "https://idp.example.com/token"
		p.record.Failure = failed(oauth.Throttled, time.Minute)
		p.record.Failure.NotBefore = noon.Add(10 * time.Minute)
	})
	told.teach()
	other, record := *told, *told.record
	record.Failure = nil
	other.record = &record
	permit, err := other.enter(&other.client.Client)
	if permit != nil || stopOf(t, err).Reason != v1alpha1.ReasonThrottled {
		t.Errorf("another connection of the client may go: %v", err)
	}
	elsewhere := *told.client
	elsewhere.Owner = "team-b"
	other.client = &elsewhere
	if permit, _ = other.enter(&elsewhere.Client); permit == nil {
		t.Error("a client of the same name, of somebody else, waits as well")
	}
}

// told has the provider tell another connection to wait while the record is written for the nth time from now
// on. Later writes fail with err.
func (d *doubtful) told(nth int, until time.Time, err error) {
	d.Store.Client = interceptor.NewClient(d.api.(client.WithWatch), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			nth--
			if nth == 0 {
				d.pacer().lanes.Hold(d.conn.Namespace, d.route(&d.client.Client), until)
			}
			if nth < 0 && err != nil {
				return err
			}
			return c.Update(ctx, obj, opts...)
		},
	})
}

func TestARequestThatWasAnnouncedIsNotSentOnceTheProviderHasAskedToWait(t *testing.T) {
	d := newDoubtful(t, func(p *pass) { p.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"} })
	d.answers[tokenPath] = renewed
	until := noon.Add(10 * time.Minute)
	d.told(1, until, nil)
	d.says(d.look(0), v1alpha1.ReasonThrottled, "told another connection to wait, and this one waits too until "+clockTime(until))
	if len(d.asked) != 0 {
		t.Errorf("it asked %v", d.asked)
	}
	stored, err := d.Store.Get(t.Context(), d.key)
	if err != nil || stored.Intent != nil || stored.Failure != nil || stored.Doubt != nil {
		t.Errorf("what is left is %+v, %v", stored, err)
	}
	if !d.wakeAt.Equal(noon.Add(slowLook)) || d.conn.Status.LastHandledRefresh != "" {
		t.Errorf("it is looked at again at %s, and the request is acknowledged by %q", d.wakeAt, d.conn.Status.LastHandledRefresh)
	}
	d.says(d.look(until.Sub(noon)), v1alpha1.ReasonFresh)
	if d.count(tokenPath) != 1 || d.conn.Status.LastHandledRefresh != "1" {
		t.Errorf("after it, it asked %v, and the request is acknowledged by %q", d.asked, d.conn.Status.LastHandledRefresh)
	}
}

func TestARequestWhoseTokenWasAskedAboutIsNotSentOnceTheProviderHasAskedToWaitMeanwhile(t *testing.T) {
	d := newDoubtful(t, introspects)
	d.answers[introspectPath], d.answers[tokenPath] = `{"active":true}`, renewed
	d.killed()
	until := noon.Add(10 * time.Minute)
	d.told(2, until, nil) // it is announced anew after the introspection
	d.says(d.look(tokenstore.IntentLifetime), v1alpha1.ReasonThrottled)
	if !slices.Equal(d.asked, []string{introspectPath}) {
		t.Errorf("it asked %v", d.asked)
	}
	d.says(d.look(until.Sub(d.now)), v1alpha1.ReasonFresh)
}

func TestARequestThatWasNotSentIsNoRiskAlthoughThatCouldNotBeStored(t *testing.T) {
	d := newDoubtful(t, introspects)
	d.answers[introspectPath], d.answers[tokenPath] = `{"active":false}`, renewed
	until := noon.Add(10 * time.Minute)
	away := errors.New("the API server is away")
	d.told(1, until, away)
	if err := d.renew(t.Context()); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	d.Store.Client = d.api
	d.says(d.look(time.Minute), v1alpha1.ReasonThrottled)
	d.says(d.look(until.Sub(d.now)), v1alpha1.ReasonFresh)
	if !slices.Equal(d.asked, []string{tokenPath}) {
		t.Errorf("it asked %v", d.asked)
	}
}

func TestWhatATokenRequestSaysOfItsEndpoint(t *testing.T) {
	for kind, want := range map[oauth.Kind]pace.Verdict{
		oauth.Unreachable: pace.Failed, oauth.Transient: pace.Failed, oauth.Unexpected: pace.Failed, oauth.Ambiguous: pace.Failed,
		oauth.Throttled: pace.Throttled, oauth.Reauthorize: pace.Answered, oauth.ClientRejected: pace.Answered,
		oauth.Blocked: pace.Unused, oauth.NoRefreshToken: pace.Unused,
	} {
		if got := outcome(&oauth.Error{Kind: kind, RetryAfter: time.Minute}); got.Verdict != want || got.RetryAfter != time.Minute {
			t.Errorf("%s: %+v", kind, got)
		}
	}
	for name, c := range map[string]struct {
		err  error
		want pace.Verdict
	}{
		"success":                        {nil, pace.Succeeded},
		"the request could not be made":  {errors.New("no assertion"), pace.Unused},
		"the address is none":            {&oauth.Error{Kind: oauth.Misconfigured}, pace.Unused},
		"the provider refuses the scope": {&oauth.Error{Kind: oauth.Misconfigured, Status: 400}, pace.Answered},
	} {
		if got := outcome(c.err); got.Verdict != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatPeopleWaitForIsMostUrgentThenTheTokenThatExpiresSoonest(t *testing.T) {
	connected := func(change func(*v1alpha1.OAuthConnection)) *v1alpha1.OAuthConnection {
		conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		conn.Status.ObservedGeneration, conn.Status.Binding = 1, &v1alpha1.Binding{Name: "github"}
		conn.Status.ExpiresAt = &metav1.Time{Time: noon.Add(time.Hour)}
		change(conn)
		return conn
	}
	now := metav1.Time{Time: noon}
	for name, change := range map[string]func(*v1alpha1.OAuthConnection){
		"edited":          func(c *v1alpha1.OAuthConnection) { c.Generation = 2 },
		"deleted":         func(c *v1alpha1.OAuthConnection) { c.DeletionTimestamp = &now },
		"without a token": func(c *v1alpha1.OAuthConnection) { c.Status.Binding = nil },
		"refresh": func(c *v1alpha1.OAuthConnection) {
			c.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
		},
		"disconnect": func(c *v1alpha1.OAuthConnection) {
			c.Annotations = map[string]string{v1alpha1.DisconnectRequestedAnnotation: "1"}
		},
	} {
		if got := urgency(connected(change)); !got.IsZero() {
			t.Errorf("%s: %s", name, got)
		}
	}
	soon, endless := connected(func(*v1alpha1.OAuthConnection) {}), connected(func(c *v1alpha1.OAuthConnection) { c.Status.ExpiresAt = nil })
	if at := urgency(soon); !at.Equal(noon.Add(time.Hour)) || !at.Before(urgency(endless)) {
		t.Errorf("%s, and %s without an end", at, urgency(endless))
	}
	answered := connected(func(c *v1alpha1.OAuthConnection) { c.Status.LastHandledRefresh = "1" })
	if urgency(answered).IsZero() {
		t.Error("a request that was answered and removed is urgent for ever")
	}
}

// queueOf is a reconciler that leads, over these connections.
func queueOf(t *testing.T, funcs interceptor.Funcs, connections ...client.Object) (*ConnectionReconciler, priorityqueue.PriorityQueue[reconcile.Request]) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := &ConnectionReconciler{Clock: clocktesting.NewFakePassiveClock(noon), Concurrency: 2,
		Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(connections...).WithInterceptorFuncs(funcs).Build()}
	queue := priorityqueue.New[reconcile.Request]("test")
	t.Cleanup(queue.ShutDown)
	if err := r.lead(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return r, queue
}

func named(name string) *v1alpha1.OAuthConnection {
	return &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}}
}

// Those that wait because another connection of their client was told to have nothing to teach.
func TestANewLeaderLooksFirstAtConnectionsThatWereToldToWait(t *testing.T) {
	waits, told := named("a-waits"), named("told")
	waits.Status.Conditions = []metav1.Condition{{Type: v1alpha1.TokenFreshCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonThrottled}}
	told.Status.Conditions = []metav1.Condition{{Type: v1alpha1.TokenFreshCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonAtRisk}}
	told.Status.ConsecutiveFailures = 1
	_, queue := queueOf(t, interceptor.Funcs{}, waits, named("other"), told)
	for _, conn := range []client.Object{waits, named("other")} {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(conn)})
	}
	if got, _ := queue.Get(); got.Name != "told" {
		t.Errorf("got %s first", got.Name)
	}
}

func TestAfterALeapOfTheClockEveryConnectionIsLookedAt(t *testing.T) {
	if err := (&ConnectionReconciler{}).WakeAll(t.Context()); err != nil {
		t.Errorf("without the lead: %v", err)
	}
	r, queue := queueOf(t, interceptor.Funcs{}, named("one"), named("two"))
	if err := r.WakeAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, _ := queue.Get()
	second, _ := queue.Get()
	if first == second {
		t.Errorf("got %s twice", first)
	}
}

// While a pass runs, others of its namespace wait: they are woken by its end, and one that was deleted
// meanwhile keeps nobody waiting.
func TestAConnectionWithoutATurnIsWokenWhenOneIsFreeEvenAfterOneThatIsGone(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	funcs := interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
		close(entered)
		<-release
		return errors.New("stopped by the test")
	}}
	gone, last := named("a-gone"), named("last")
	r, queue := queueOf(t, funcs, named("busy"), gone, last)
	reconciled := func(conn client.Object) (ctrl.Result, error) {
		return r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(conn)})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = reconciled(named("busy"))
	}()
	<-entered
	for _, conn := range []client.Object{gone, last} {
		if result, err := reconciled(conn); err != nil || result.RequeueAfter != lineLook {
			t.Fatalf("%s had a turn: %v %v", conn.GetName(), result, err)
		}
	}
	close(release)
	<-ended
	if err := r.Client.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	for _, want := range []client.Object{gone, last} {
		got, _ := queue.Get()
		if got.Name != want.GetName() {
			t.Fatalf("woken is %s, want %s", got.Name, want.GetName())
		}
		if want == client.Object(gone) {
			_, _ = reconciled(gone)
		}
		queue.Done(got)
	}
}
