// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/pace"
)

const (
	// lineLook is when a connection that waits is looked at again, and slowLook where its status says that it
	// waits. It is woken when it may go, or by itself then where it had announced its request.
	lineLook, slowLook = time.Minute, 5 * time.Minute
	// worthSaying is how long a wait has to be to be told of.
	worthSaying = 5 * time.Second
)

type workQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// paced is who may work and talk to which provider now.
type paced struct {
	once  sync.Once
	turns *pace.Turns
	lanes *pace.Lanes
	queue atomic.Pointer[workQueue]
}

// pacer makes the turns and lanes at the first use.
func (r *ConnectionReconciler) pacer() *paced {
	r.paced.once.Do(func() {
		r.paced.turns = pace.NewTurns(max(r.Concurrency, 1), r.lookAt)
		r.paced.lanes = pace.NewLanes(r.Clock, r.lookAt)
	})
	return &r.paced
}

// leave ends a pass.
func (p *paced) leave(key pace.Key) {
	p.lanes.Leave(key)
	p.turns.Give(key)
}

// forget is for a connection that is gone.
func (p *paced) forget(key pace.Key) {
	p.lanes.Forget(key)
	p.turns.Forget(key)
}

// lookAt has a connection looked at. While this process does not lead there is no queue, and nobody waits.
func (r *ConnectionReconciler) lookAt(key pace.Key) {
	if queue := r.paced.queue.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: key})
	}
}

// WakeAll has every connection looked at: the clock jumped, and what waits for a moment waits for the wrong one.
func (r *ConnectionReconciler) WakeAll(ctx context.Context) error {
	if r.paced.queue.Load() == nil {
		return nil
	}
	r.pacer().lanes.Review()
	var list v1alpha1.OAuthConnectionList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for i := range list.Items {
		r.lookAt(client.ObjectKeyFromObject(&list.Items[i]))
	}
	return nil
}

// lead takes the queue when this process starts to lead. Connections whose last request failed come first: if
// they were told to wait their records know it, which closes the lanes before others ask.
func (r *ConnectionReconciler) lead(ctx context.Context, queue workQueue) error {
	r.paced.queue.Store(&queue)
	ordered, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	var list v1alpha1.OAuthConnectionList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil || !ok {
		return err
	}
	for i := range list.Items {
		if list.Items[i].Status.ConsecutiveFailures > 0 {
			ordered.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(1)}, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return nil
}

// RegisterPace registers metrics of who waits. They have no labels: tenants choose providers.
func (r *ConnectionReconciler) RegisterPace(registry prometheus.Registerer) error {
	gauge := func(name, help string, value func() int) error {
		return registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	return errors.Join(
		gauge("oauth_operator_waiting_connections", "Connections that wait for their turn, or for a provider that asked to wait, is down or takes no more.",
			func() int { return r.pacer().turns.Waiting() + r.pacer().lanes.Waiting() }),
		gauge("oauth_operator_restrained_clients", "Clients whose token endpoint asked to wait, is down or is asked more slowly since it said 429.",
			func() int { return r.pacer().lanes.Restrained() }),
	)
}

// urgency orders the connections of a namespace, from what the cache says: what people wait for, what has no
// token yet, then by the expiry of the token.
func urgency(conn *v1alpha1.OAuthConnection) time.Time {
	status := &conn.Status
	asked := func(annotation, answered string) bool {
		value := conn.Annotations[annotation]
		return value != "" && value != answered
	}
	switch {
	case !conn.DeletionTimestamp.IsZero(), status.ObservedGeneration != conn.Generation, status.Binding == nil,
		asked(v1alpha1.RefreshRequestedAnnotation, status.LastHandledRefresh),
		asked(v1alpha1.DisconnectRequestedAnnotation, status.LastHandledDisconnect):
		return time.Time{}
	case status.ExpiresAt != nil:
		return status.ExpiresAt.Time
	case status.RefreshAt != nil:
		return status.RefreshAt.Time
	}
	return time.Unix(1<<40, 0) // its token does not end
}

// route is the lane that a token request of the client takes. Whoever knows a client's name can describe one
// of the same fingerprint, with a wrong secret and with rules that call every refusal a throttling.
func (p *pass) route(c *oauth.Client) pace.Route {
	address := c.Endpoints.Token
	if !p.actsForItself() && c.Endpoints.Refresh != "" {
		address = c.Endpoints.Refresh
	}
	return pace.RouteOf(address, p.client.Owner+"/"+p.client.Fingerprint)
}

// teach closes the lane for what a record knows that this process may not.
func (p *pass) teach() {
	if !p.toldToWait() {
		return
	}
	if c, err := p.client.For(p.record.Metadata); err == nil {
		p.pacer().lanes.Hold(p.conn.Namespace, p.route(c), p.record.Failure.NotBefore)
	}
}

// enter asks for a token request. Without a permit the walk ends, with what is to be said of that.
func (p *pass) enter(c *oauth.Client) (*pace.Permit, error) {
	key := pace.Key{Namespace: p.conn.Namespace, Name: p.conn.Name}
	permit, wait := p.pacer().lanes.Ask(key, p.route(c), urgency(p.conn))
	if permit == nil {
		return nil, p.inLine(wait)
	}
	return permit, nil
}

// inLine is what is said while the connection waits for its provider: of a short wait nothing new.
func (p *pass) inLine(w pace.Wait) error {
	said := w.Until.Sub(p.Clock.Now()) > worthSaying
	if said {
		p.wake(p.now.Add(slowLook))
		p.refreshAt = w.Until
	} else {
		p.wake(p.now.Add(lineLook))
	}
	switch {
	case p.failing():
		last := *p.record.Failure
		if said {
			last.RetryAt = w.Until
		}
		waiting := *p.record
		waiting.Failure = &last
		p.record = &waiting // for the words; nothing is stored any more
		halt, _ := errors.AsType[*stop](p.failureStop())
		halt.Retry = 0
		return halt
	case p.atRisk():
		return p.riskAhead()
	case said:
		return p.inLineStop(w)
	case expired(p.record, p.now):
		return &stop{Reason: v1alpha1.ReasonTokenExpired, Message: p.expiredMessage()}
	}
	return nil
}

// failing says whether the last request failed in a way that ends by itself.
func (p *pass) failing() bool {
	f := p.record.Failure
	return f != nil && f.Kind != oauth.ClientRejected && f.Kind != oauth.Misconfigured && f.Kind != oauth.Blocked
}

func (p *pass) inLineStop(w pace.Wait) *stop {
	who := "the token endpoint of " + p.client.DisplayName
	switch w.Reason {
	case pace.Told:
		return &stop{Reason: v1alpha1.ReasonThrottled, Message: who + " told another connection to wait, and this one waits too until " + clockTime(w.Until) + "; nothing is to be done"}
	case pace.Down:
		return &stop{Reason: v1alpha1.ReasonRefreshFailed,
			Message: who + " does not answer; it is asked again at " + clockTime(w.Until) + ", and once it answers the token that expires soonest is renewed first"}
	default:
		return &stop{Reason: v1alpha1.ReasonThrottled,
			Message: who + " limits how often it is asked; the token that expires soonest is renewed first"}
	}
}

// outcome is what the end of a token request says of the endpoint.
func outcome(err error) pace.Outcome {
	if err == nil {
		return pace.Outcome{Verdict: pace.Succeeded}
	}
	cause, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return pace.Outcome{} // what the request needs could not be had
	}
	verdict := pace.Answered
	switch cause.Kind {
	case oauth.Unreachable, oauth.Transient, oauth.Unexpected, oauth.Ambiguous:
		verdict = pace.Failed
	case oauth.Throttled:
		verdict = pace.Throttled
	case oauth.Blocked, oauth.NoRefreshToken:
		verdict = pace.Unused
	case oauth.Misconfigured:
		if cause.Status == 0 {
			verdict = pace.Unused
		}
	}
	return pace.Outcome{Verdict: verdict, RetryAfter: cause.RetryAfter}
}
