// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// listen opens the port that the browser comes to.
func (c *connecting) listen(ctx context.Context) error {
	if c.options.Code || c.device() {
		return nil
	}
	listener, err := listenLoopback(ctx, c.options.Port)
	if err != nil {
		return err
	}
	c.listener = listener
	c.closers = append(c.closers, func() { _ = listener.Close() }) // closed already where it was served
	return nil
}

// create makes the OAuthAuthorization. Ctrl-C does not cut it off: what was made has to be known, so
// that it can be deleted.
func (c *connecting) create(ctx context.Context) error {
	attempt := newAttempt(c.before, c.username)
	if c.listener != nil {
		attempt.Spec.Method, attempt.Spec.Loopback = v1alpha1.PairingLoopback, loopbackOf(c.listener)
	}
	if c.device() {
		attempt.Spec.Method = v1alpha1.PairingDevice
	}
	asked := attempt.Spec.DeepCopy()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.patience.API)
	defer cancel()
	if err := c.cluster.Create(bounded, attempt); err != nil {
		return err
	}
	c.attempt, c.key, c.uid = attempt, client.ObjectKeyFromObject(attempt), attempt.UID
	if !equality.Semantic.DeepEqual(asked, &attempt.Spec) {
		return &problem{
			Text: "the operator's CustomResourceDefinitions in this cluster are older than kubectl oauth: " + c.nothing(),
			Hint: "ask the platform team to update them, or use the kubectl oauth of the operator's version",
		}
	}
	return ctx.Err()
}

// admit waits for the operator's first word.
func (c *connecting) admit(ctx context.Context) error {
	limit := c.patience.Operator
	if c.device() {
		limit += c.patience.Provider
	}
	silent := &problem{
		Text: fmt.Sprintf("the operator did not answer within %s: %s", limit, c.nothing()),
		Hint: "is it running? " + findOperator,
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silent)
	defer cancel()
	return c.followAttempt(ctx, func(attempt *v1alpha1.OAuthAuthorization) bool {
		return attempt.Status.AuthorizationURL != "" || attempt.Status.UserCode != ""
	})
}

// send serves the browser, and opens it at the address, which is printed whatever comes of that.
func (c *connecting) send(ctx context.Context) error {
	if c.device() {
		return c.showCode()
	}
	address, err := c.serve(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.options.Code:
		c.progress.line("Open this address in a browser, on any machine:\n\n  %s\n", address)
		go c.typeCode(ctx)
	case c.options.NoBrowser:
		c.progress.line("Open this address in a browser on this machine:\n\n  %s\n", address)
	default:
		c.progress.line("Your browser opens. If it does not, open this address on this machine:\n\n  %s\n", address)
		c.openSoon(address)
	}
	return nil
}

// openSoon starts the browser, which may take its time.
func (c *connecting) openSoon(address string) {
	go func() {
		if c.open(address) != nil {
			c.progress.line("The browser could not be opened: open the address above yourself.")
		}
	}()
}

// serve starts what the browser meets on this machine, and returns where it has to be opened.
func (c *connecting) serve(ctx context.Context) (string, error) {
	start := c.attempt.Status.AuthorizationURL
	if c.options.Code {
		_, err := webAddress(start)
		return start, err
	}
	handler := &loopback{host: c.listener.Addr().String(), path: pairPath}
	var address string
	if c.before.Spec.Redirect == v1alpha1.RedirectLoopback {
		r, path, err := newResponse(start, handler.host)
		if err != nil {
			return "", err
		}
		r.hand = func(answer *v1alpha1.AuthorizationResponse) error { return c.add(ctx, "response", answer) }
		handler.path, handler.arrive = path, r.arrive
		address, c.outcome = r.address(), r.outcome
	} else {
		p, err := newPairing(start)
		if err != nil {
			return "", err
		}
		p.vouch = func(browser *v1alpha1.PairedBrowser) error { return c.add(ctx, "browser", browser) }
		handler.arrive, address = p.arrive, p.address()
	}
	c.closers = append(c.closers, serveLoopback(c.listener, handler))
	return address, nil
}

// consent waits until the attempt is completed.
func (c *connecting) consent(ctx context.Context) error {
	bounded, cancel := c.untilLate(ctx)
	defer cancel()
	completed := func(attempt *v1alpha1.OAuthAuthorization) bool {
		done := completed(attempt).Status == metav1.ConditionTrue
		if !done && (!c.options.Code || attempt.Spec.Browser != nil) { // a prompt is there until then
			c.progress.now(stage(attempt))
		}
		return done
	}
	err := c.followAttempt(bounded, completed)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil && c.attempt.Status.ClaimedAt != nil {
		// The person was in time, and only the provider is slow.
		unsettled := &problem{Text: "the provider's answer arrived, but the operator has not said what became of it", Hint: c.next("status")}
		settling, cancel := context.WithTimeoutCause(ctx, c.patience.Settle, unsettled)
		defer cancel()
		err = c.followAttempt(settling, completed)
	}
	if err == nil && c.outcome != nil {
		c.outcome.tell(connectedPage)
		c.outcome = nil
	}
	return err
}

// untilLate ends with --timeout, or with the attempt's life. That is measured by the cluster's clock,
// which need not be this machine's.
func (c *connecting) untilLate(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := c.options.Timeout
	if expires := c.attempt.Status.ExpiresAt; expires != nil {
		limit = min(limit, expires.Sub(c.attempt.CreationTimestamp.Time))
	}
	return context.WithTimeoutCause(ctx, limit, c.late(limit))
}

// publish waits until the Secret holds the new token, or the operator says why it cannot.
func (c *connecting) publish(ctx context.Context) error {
	c.progress.now("Saved. Waiting for the Secret ...")
	late := errors.New("late")
	bounded, cancel := context.WithTimeoutCause(ctx, c.patience.Secret, late)
	defer cancel()
	key := client.ObjectKeyFromObject(c.before)
	conn := &v1alpha1.OAuthConnection{}
	err := c.follow(bounded, key, &v1alpha1.OAuthConnectionList{}, func(ctx context.Context) (bool, error) {
		now := &v1alpha1.OAuthConnection{}
		if err := c.cluster.Get(ctx, key, now); err != nil {
			return false, err
		}
		conn = now
		if !c.speaksOfThisConsent(conn) {
			return false, nil
		}
		if stalled := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.StalledCondition); stalled != nil && stalled.Status == metav1.ConditionTrue {
			return false, c.unready("its Secret cannot be written", stalled)
		}
		return meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ReadyCondition), nil
	})
	if errors.Is(err, late) {
		ready := meta.FindStatusCondition(conn.Status.Conditions, v1alpha1.ReadyCondition)
		if ready != nil && ready.Status == metav1.ConditionTrue { // it speaks of the token before
			ready = nil
		}
		return c.unready("its Secret is not written after "+duration.HumanDuration(c.patience.Secret), ready)
	}
	if apierrors.IsNotFound(err) {
		return c.unready("OAuthConnection "+c.name+" was deleted meanwhile", nil)
	}
	c.after = conn
	return err
}

// speaksOfThisConsent says whether the status is of the token that was just obtained. That is obtained
// after the attempt was claimed, by the same process; both times are in whole seconds. Where another
// process's clock is ahead, the token from before can look newer: so something has to have changed, too.
// An attempt with a device code is not claimed, and the token's time is another one than before.
func (c *connecting) speaksOfThisConsent(conn *v1alpha1.OAuthConnection) bool {
	obtained, claimed := conn.Status.LastRefreshTime, c.attempt.Status.ClaimedAt
	if c.device() && obtained.Equal(c.before.Status.LastRefreshTime) {
		return false
	}
	return obtained != nil && (claimed == nil || !obtained.Before(claimed)) &&
		!equality.Semantic.DeepEqual(conn.Status, c.before.Status)
}
