// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func newDisconnectCommand(a *app) *cobra.Command {
	r := &request{
		app:          a,
		annotation:   v1alpha1.DisconnectRequestedAnnotation,
		acknowledged: func(s *v1alpha1.OAuthConnectionStatus) string { return s.LastHandledDisconnect },
		outcome:      func(_, _ *v1alpha1.OAuthConnection) (bool, error) { return true, nil },
	}
	yes, noWait := false, false
	c := &cobra.Command{
		Use:   "disconnect NAME",
		Short: "Give a connection's grant up, and remove its Secret",
		Long: `Give a connection's grant up: the provider is asked to end it (RFC 7009), and the stored grant and
the Secret are removed. The connection itself stays, and can be connected again.`,
		Example: `  # Ask, and give up the grant of connection github
  kubectl oauth disconnect github

  # In a script
  kubectl oauth disconnect github --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE: func(c *cobra.Command, args []string) error {
			return r.disconnect(c.Context(), args[0], yes, noWait)
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask")
	c.Flags().DurationVar(&r.timeout, "timeout", answerTimeout, "How long to wait until it is done")
	c.Flags().BoolVar(&noWait, "no-wait", false, "Ask the operator for it, and do not wait")
	return c
}

func (r *request) disconnect(ctx context.Context, name string, yes, noWait bool) error {
	conn, err := r.connection(ctx, name)
	if err != nil {
		return err
	}
	if !yes {
		if err := r.confirm(ctx, conn); err != nil {
			return err
		}
	}
	said, _ := r.events(ctx, conn) // without the right to read them, there is less to tell
	asked, err := r.ask(ctx, conn)
	if err != nil {
		return err
	}
	if noWait {
		r.say("Asked to disconnect %s. See: %s", name, r.command(conn.Namespace, "status", name))
		return nil
	}
	if _, err := r.await(ctx, conn, asked); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.Out, "%s is disconnected: its grant and Secret %s are gone.\n", name, clean(conn.TargetName()))
	if news := r.revocation(ctx, conn, said); news != "" {
		r.say("About the provider: %s.", news)
	}
	if err == nil && !conn.Spec.Grant.NeedsPerson() {
		r.say("No person is needed for this grant, so the operator gets a new token at once. To stop that, set spec.suspend or delete the connection.")
	}
	return err
}

// eventPatience is how long an event may come after the status that it belongs to.
const eventPatience = 2 * time.Second

// revocation is what the operator said, since those events, about ending the grant at the provider. It
// is empty where there was no grant, and where it cannot be found out.
func (r *request) revocation(ctx context.Context, conn *v1alpha1.OAuthConnection, said []event) (news string) {
	if conn.Status.LastRefreshTime == nil {
		return ""
	}
	look := func(ctx context.Context) (bool, error) {
		events, err := r.events(ctx, conn)
		for _, e := range events {
			if slices.Contains([]string{"Revoked", "RevocationUnsupported", "RevocationFailed", "RevocationSkipped"}, e.reason) && !slices.Contains(said, e) {
				news = clean(e.note)
				return true, nil
			}
		}
		return false, err
	}
	_ = wait.PollUntilContextTimeout(ctx, eventPatience/10, eventPatience, true, look)
	return news
}

// confirm asks the person. Anything but yes is a no.
func (r *request) confirm(ctx context.Context, conn *v1alpha1.OAuthConnection) error {
	if !r.interactive() {
		return &problem{
			Text: "nobody can be asked whether to disconnect " + conn.Name + ": this is no terminal",
			Hint: r.command(conn.Namespace, "disconnect", conn.Name, "--yes"),
		}
	}
	who := ""
	if conn.Status.Account != "" {
		who = ", account " + clean(conn.Status.Account)
	}
	fmt.Fprintf(r.ErrOut, "Disconnect %s in namespace %s%s? The provider is asked to end the grant, and Secret %s is removed. [y/N] ",
		conn.Name, conn.Namespace, who, clean(conn.TargetName()))
	answer, err := r.readLine(ctx)
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	}
	return &problem{Text: "not disconnected"}
}

// readLine reads what a person types. The read cannot be cancelled: Ctrl-C leaves it behind.
func (a *app) readLine(ctx context.Context) (string, error) {
	if a.typed == nil {
		a.typed = bufio.NewReader(a.In)
	}
	type result struct {
		line string
		err  error
	}
	typed := make(chan result, 1)
	go func() {
		line, err := a.typed.ReadString('\n')
		typed <- result{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-typed:
		if r.err != nil && r.line == "" {
			return "", &problem{Text: "nothing was typed", cause: r.err}
		}
		return r.line, nil
	}
}
