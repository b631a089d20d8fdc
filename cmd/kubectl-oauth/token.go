// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// accessTokenKey is the key where no template replaces the default ones.
const accessTokenKey = "access_token"

type tokenOptions struct {
	*app
	key   string
	force bool
}

func newTokenCommand(a *app) *cobra.Command {
	o := &tokenOptions{app: a}
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Print a connection's access token",
		Long: `Print a connection's access token, and a newline. It is read from the connection's Secret with your
own rights. A token that cannot be used is not printed, unless --force is given.`,
		Example: `  # Call an API as the account
  curl -H "Authorization: Bearer $(kubectl oauth token github)" https://api.github.com/user

  # Another key of the Secret, where a template made it
  kubectl oauth token github --key .netrc`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c.Context(), args[0]) },
	}
	c.Flags().StringVar(&o.key, "key", accessTokenKey, "The key of the Secret")
	c.Flags().BoolVar(&o.force, "force", false, "Print it although it may not be usable")
	return c
}

func (o *tokenOptions) run(ctx context.Context, name string) error {
	conn, err := o.connection(ctx, name)
	if err != nil {
		return err
	}
	if !o.force {
		if err := o.usable(conn); err != nil {
			return err
		}
	}
	value, err := o.read(ctx, conn)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.Out, "%s\n", value)
	return err
}

// usable says why the token of now would be refused. The expiry is compared with this clock: the
// operator may be down.
func (o *tokenOptions) usable(conn *v1alpha1.OAuthConnection) error {
	ready := readyOf(conn)
	expires := conn.Status.ExpiresAt
	next := o.command(conn.Namespace, "status", conn.Name)
	switch {
	case ready.Reason == v1alpha1.ReasonSuspended && conn.Status.Binding != nil && (expires == nil || o.clock.Now().Before(expires.Time)):
		return nil // nothing renews it, and it is valid
	case ready.Status != metav1.ConditionTrue && ready.Message == "":
		return &problem{Text: "the operator has not looked at " + conn.Name + " yet", Hint: next}
	case ready.Status != metav1.ConditionTrue:
		return &problem{Text: fmt.Sprintf("%s has no token that can be used: %s", conn.Name, clean(ready.Message)), Hint: next}
	case expires != nil && !o.clock.Now().Before(expires.Time):
		return &problem{Text: "the token expired " + relative(expires.Time, o.clock.Now()), Hint: o.command(conn.Namespace, "refresh", conn.Name)}
	}
	return nil
}

func (o *tokenOptions) read(ctx context.Context, conn *v1alpha1.OAuthConnection) ([]byte, error) {
	if conn.Status.Binding == nil {
		return nil, &problem{Text: "no Secret of " + conn.Name + " is there yet", Hint: o.command(conn.Namespace, "status", conn.Name)}
	}
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	err = c.Get(ctx, client.ObjectKey{Namespace: conn.Namespace, Name: conn.Status.Binding.Name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, &problem{Text: fmt.Sprintf("Secret %s does not exist", conn.Status.Binding.Name), Hint: o.command(conn.Namespace, "status", conn.Name), cause: err}
	case err != nil:
		return nil, err
	case !metav1.IsControlledBy(secret, conn):
		return nil, &problem{Text: fmt.Sprintf("Secret %s does not belong to %s", secret.Name, conn.Name), Hint: o.command(conn.Namespace, "status", conn.Name)}
	}
	value, found := secret.Data[o.key]
	if !found {
		keys := strings.Join(slices.Sorted(maps.Keys(secret.Data)), ", ")
		return nil, &problem{Text: fmt.Sprintf("Secret %s has no key %q; it has: %s", secret.Name, o.key, dash(keys)), Hint: "choose one with --key"}
	}
	return value, nil
}
