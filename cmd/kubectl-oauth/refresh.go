// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func newRefreshCommand(a *app) *cobra.Command {
	r := &request{
		app:          a,
		annotation:   v1alpha1.RefreshRequestedAnnotation,
		acknowledged: func(s *v1alpha1.OAuthConnectionStatus) string { return s.LastHandledRefresh },
		outcome:      refreshed,
	}
	noWait := false
	c := &cobra.Command{
		Use:   "refresh NAME",
		Short: "Renew a connection's access token now",
		Long: `Renew a connection's access token now, and wait until the Secret holds the new one. A pause after
failures ends as well. The exit code is not 0 when there is no new token.`,
		Example: `  # Renew the token of connection github
  kubectl oauth refresh github

  # Only ask for it
  kubectl oauth refresh github --no-wait`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE:              func(c *cobra.Command, args []string) error { return r.refresh(c.Context(), args[0], noWait) },
	}
	c.Flags().DurationVar(&r.timeout, "timeout", answerTimeout, "How long to wait for the new token")
	c.Flags().BoolVar(&noWait, "no-wait", false, "Ask for it, and do not wait")
	return c
}

func (r *request) refresh(ctx context.Context, name string, noWait bool) error {
	conn, err := r.connection(ctx, name)
	if err != nil {
		return err
	}
	if conn.Spec.Suspend {
		return &problem{
			Text: fmt.Sprintf("connection %s is suspended: nothing is renewed", name),
			Hint: resume(conn),
		}
	}
	asked, err := r.ask(ctx, conn)
	if err != nil {
		return err
	}
	if noWait {
		r.say("Asked to renew the token of %s. See: %s", name, r.command(conn.Namespace, "status", name))
		return nil
	}
	after, err := r.await(ctx, conn, asked)
	if err != nil {
		return err
	}
	until := "its expiry is not known"
	if e := after.Status.ExpiresAt; e != nil {
		until = "it expires " + relative(e.Time, r.clock.Now())
	}
	_, err = fmt.Fprintf(r.Out, "Secret %s holds a new access token; %s.\n", clean(after.TargetName()), until)
	return err
}

// refreshed finds out what became of a request that was acted on. The status that acknowledges it has
// the outcome too, except while the operator cannot write.
func refreshed(before, after *v1alpha1.OAuthConnection) (bool, error) {
	for _, name := range []string{
		v1alpha1.ClientResolvedCondition, v1alpha1.AuthorizedCondition, v1alpha1.TokenFreshCondition, v1alpha1.SecretPublishedCondition,
	} {
		c := meta.FindStatusCondition(after.Status.Conditions, name)
		switch {
		case c == nil || c.Status == metav1.ConditionTrue:
		case c.Status == metav1.ConditionUnknown, c.Reason == v1alpha1.ReasonProgressing, c.Reason == v1alpha1.ReasonTokenUnsaved:
			return false, nil
		default:
			return false, &problem{Text: c.Reason + ": " + clean(c.Message)}
		}
	}
	was, is := before.Status.LastRefreshTime, after.Status.LastRefreshTime
	if is != nil && (!is.Equal(was) || after.Status.RefreshCount != before.Status.RefreshCount) {
		return true, nil
	}
	p := &problem{Text: "the token was not renewed"}
	if c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.TokenFreshCondition); c != nil {
		p.Text += ": " + clean(c.Message)
	}
	return false, p
}
