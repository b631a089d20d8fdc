// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// stage says how far an attempt has come.
func stage(attempt *v1alpha1.OAuthAuthorization) string {
	switch {
	case attempt.Status.ClaimedAt != nil, attempt.Spec.Response != nil:
		return "Back from the provider. The operator asks it for the token ..."
	case completed(attempt).Reason == v1alpha1.ReasonWaitingForProvider:
		return "Waiting for you to sign in and consent at the provider ..."
	case attempt.Spec.Browser != nil && attempt.Spec.Method == v1alpha1.PairingCode:
		return "Waiting for you to go on in the browser, by the button below the code ..."
	case attempt.Spec.Browser != nil:
		return "This is your browser. Waiting for you to go on in it ..."
	}
	return "Waiting for the browser ..."
}

// nothing says that nothing changed.
func (c *connecting) nothing() string {
	if c.connected() {
		return account(c.before.Status.Account) + " stays connected"
	}
	return "nothing was connected"
}

// ended is the error for an attempt that the operator ended. Its message is for people.
func (c *connecting) ended(end metav1.Condition) error {
	p := &problem{Text: clean(end.Message) + ": " + c.nothing(), Hint: "to try again: " + c.next("connect")}
	switch end.Reason {
	case v1alpha1.ReasonConnectionNotFound:
		p.Hint = "those that exist: " + c.command(c.key.Namespace, "status")
	case v1alpha1.ReasonConnectionNotReady: // its message ends with a command: nothing may follow that
		p.Text = c.nothing() + ": " + clean(end.Message)
		p.Hint = "what it needs: " + c.next("status")
	case v1alpha1.ReasonNoPersonNeeded, v1alpha1.ReasonSuspended:
		p.Hint = "what it needs: " + c.next("status")
	case v1alpha1.ReasonMethodNotAllowed:
		p.Hint = "the ways that are open are in the connection's message: " + c.next("status")
	case v1alpha1.ReasonAccountNotExpected:
		p.Hint = "sign out at the provider, or choose the other account there, then: " + c.next("connect")
	case v1alpha1.ReasonExchangeFailed:
		p.Hint = "look what is wrong, then try again: " + c.next("status")
	}
	return p
}

// gone is the error for an attempt that is not there any more. It goes with its connection.
func (c *connecting) gone(ctx context.Context) error {
	conn := &v1alpha1.OAuthConnection{}
	err := c.cluster.Get(ctx, client.ObjectKeyFromObject(c.before), conn)
	if apierrors.IsNotFound(err) || err == nil && (conn.UID != c.before.UID || conn.DeletionTimestamp != nil) {
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s was deleted meanwhile: no account is connected", c.before.Name),
			Hint: "those that exist: " + c.command(c.before.Namespace, "status"),
		}
	}
	if c.attempt.Status.ClaimedAt != nil {
		return &problem{Text: "the OAuthAuthorization was deleted while the operator was at work: whether an account was connected is not known here", Hint: c.next("status")}
	}
	return &problem{Text: "the OAuthAuthorization was deleted, by somebody or, after ten minutes, by the operator: " + c.nothing(), Hint: "to try again: " + c.next("connect")}
}

// late is the error for a person who did not come back within limit.
func (c *connecting) late(limit time.Duration) error {
	return &problem{
		Text: fmt.Sprintf("nobody finished in the browser within %s: %s", duration.HumanDuration(limit), c.nothing()),
		Hint: "to try again: " + c.next("connect"),
	}
}

// unready is the error for an account that is connected and a token that does not reach the Secret.
func (c *connecting) unready(what string, because *metav1.Condition) error {
	p := &problem{Text: account(c.attempt.Status.Account) + " is connected, but " + what, Hint: c.next("status")}
	if because != nil {
		p.Text += ": " + clean(because.Message)
	}
	return p
}

// interrupted says what Ctrl-C came too late for.
func (c *connecting) interrupted() string {
	switch {
	case c.attempt != nil && completed(c.attempt).Status == metav1.ConditionTrue:
		return fmt.Sprintf("Interrupted: %s was connected already. How it goes on: %s", account(c.attempt.Status.Account), c.next("status"))
	case c.attempt != nil && c.attempt.Status.ClaimedAt != nil && completed(c.attempt).Status == metav1.ConditionUnknown:
		return "Interrupted while the operator was at work: an account may be connected. To see it: " + c.next("status")
	}
	return "Interrupted: " + c.nothing() + "."
}

// closingPage is for a browser that still waits when the command ends.
func (c *connecting) closingPage() localPage {
	switch {
	case completed(c.attempt).Status == metav1.ConditionTrue:
		return connectedPage
	case completed(c.attempt).Status == metav1.ConditionUnknown && (c.attempt.Status.ClaimedAt != nil || c.attempt.Spec.Response != nil):
		return pendingPage
	}
	return notConnectedPage
}

// report tells how it ended well.
func (c *connecting) report(context.Context) error {
	c.progress.end()
	status := c.after.Status
	with := ""
	if status.Provider != "" {
		with = " at " + clean(status.Provider)
	}
	fmt.Fprintf(c.Out, "Connected %s%s.\n", account(c.attempt.Status.Account), with)
	table := printers.GetNewTabWriter(c.Out)
	fmt.Fprintf(table, "  Secret\t%s in namespace %s\n", clean(c.after.TargetName()), c.before.Namespace)
	fmt.Fprintf(table, "  Scopes\t%s\n", c.scopes())
	fmt.Fprintf(table, "  Refresh\t%s\n", c.refresh())
	return table.Flush()
}

// scopes are those that were granted, and what the operator says where that is less than asked for.
func (c *connecting) scopes() string {
	granted := "the provider's default"
	if len(c.after.Status.Scopes) > 0 {
		granted = clean(strings.Join(c.after.Status.Scopes, " "))
	}
	if a := meta.FindStatusCondition(c.after.Status.Conditions, v1alpha1.AuthorizedCondition); a != nil && a.Reason == v1alpha1.ReasonScopesReduced {
		granted += " (" + clean(a.Message) + ")"
	}
	return granted
}

func (c *connecting) refresh() string {
	status, now := c.after.Status, c.clock.Now()
	switch {
	case status.RefreshAt != nil:
		return relative(status.RefreshAt.Time, now)
	case status.ExpiresAt != nil:
		return fmt.Sprintf("not possible: the token expires in %s, and an account has to be connected again", duration.HumanDuration(status.ExpiresAt.Sub(now)))
	}
	return "not needed: the token does not expire"
}
