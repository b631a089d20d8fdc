// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// SettleTimeout bounds what follows verification: claim, exchange (30 s), the account's name (10 s),
// a first try to save (10 s), the outcome.
const SettleTimeout = 90 * time.Second

// Arrival is a response with everything about it verified.
type Arrival struct {
	oauth.Response
	Flow   *Flow
	Target *Target
}

// Verify checks everything that can be checked without changing anything, of a response whose state was
// compared. What is forged, foreign or
// late ends here, with a *Refusal, and consumes nothing.
func (a *Attempts) Verify(ctx context.Context, f *Flow, r oauth.Response) (*Arrival, error) {
	if !a.Clock.Now().Before(f.Expires) {
		return nil, Refuse(FlowExpired)
	}
	t, err := a.Target(ctx, f.Key(), types.UID(f.ConnectionUID))
	if err != nil {
		return nil, err
	}
	switch {
	case t.Client.Fingerprint != f.Fingerprint, t.Client.CallbackPath != f.Path:
		return nil, Refuse(ClientChanged)
	case !t.Client.IsIssuer(r.Issuer):
		return nil, Refuse(WrongIssuer)
	}
	return &Arrival{Response: r, Flow: f, Target: t}, nil
}

// Settle claims the attempt, exchanges the code and saves the token. It cannot be repeated: an error,
// a *Refusal, means that nothing was claimed.
func (a *Attempts) Settle(ctx context.Context, arrival *Arrival) (*Result, error) {
	// From here on the person may leave and the lease may be lost: what the provider answers must be
	// kept all the same.
	defer a.Store.Hold()()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SettleTimeout)
	defer cancel()
	attempt, err := a.claim(ctx, arrival.Flow)
	if err != nil {
		return nil, err
	}
	result := a.finish(ctx, arrival)
	a.Metrics.count(result.Verdict)
	a.announce(arrival.Target.Connection, result)
	if err := a.Complete(ctx, attempt, result); err != nil {
		// The account is connected or not whatever the attempt says.
		log.FromContext(ctx).Error(err, "writing the outcome of an attempt", "connection", arrival.Flow.Key(), "verdict", result.Verdict)
	}
	return result, nil
}

// finish does what the provider's answer asks for.
func (a *Attempts) finish(ctx context.Context, arrival *Arrival) *Result {
	if arrival.Error != "" {
		return &Result{Verdict: providerSaid(arrival.Error)}
	}
	logger := log.FromContext(ctx).WithValues("connection", arrival.Flow.Key())
	resolved := arrival.Target.Client
	// Some providers say in the redirect where the code is taken.
	metadata, _ := resolved.Metadata(ctx, &oauth.Token{}, arrival.Parameters, nil)
	client, err := resolved.For(metadata)
	if err != nil {
		logger.Error(err, "filling in the provider's endpoints")
		return &Result{Verdict: NotReady, Detail: (&Refusal{Verdict: NotReady, Cause: err}).Detail()}
	}
	client.RedirectURI = arrival.Flow.RedirectURI
	token, err := client.Exchange(ctx, arrival.Code, oauth.NewSecret(arrival.Flow.Verifier))
	if err != nil {
		logger.Error(err, "exchanging a code")
		return refusedBy(client, err)
	}
	return a.accept(ctx, &grant{
		target: arrival.Target, attempt: types.UID(arrival.Flow.AttemptUID), token: token,
		nonce: arrival.Flow.Nonce, callback: arrival.Parameters,
	})
}

// announce tells the connection's readers.
func (a *Attempts) announce(conn *v1alpha1.OAuthConnection, r *Result) {
	kind, reason := corev1.EventTypeWarning, "AuthorizationFailed"
	if r.Verdict.good() {
		kind, reason = corev1.EventTypeNormal, "AccountConnected"
	}
	a.Events.Eventf(conn, nil, kind, reason, "Connect", "%s", r.message())
}
