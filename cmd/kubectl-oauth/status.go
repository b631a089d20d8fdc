// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// redrawEvery keeps the times of a watched screen true.
const redrawEvery = 5 * time.Second

// clearScreen moves a terminal's cursor home and clears what is below.
const clearScreen = "\x1b[H\x1b[2J\x1b[3J"

type statusOptions struct {
	*app
	names         []string
	allNamespaces bool
	watch         bool
	output        string
}

func newStatusCommand(a *app) *cobra.Command {
	o := &statusOptions{app: a}
	c := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how connections and their tokens are",
		Long: `Show how connections and their tokens are: with a name one of them on one screen, without a name all
of the namespace in a table.

The screen has the steps that lead to a token, each with a mark:
  ok  done         ..  under way, or not reached yet
  !!  not done     --  suspended
and the bar of the token's life: > is now, | is when it is renewed.`,
		Example: `  # All connections of the namespace
  kubectl oauth status

  # One of them: what is wrong with it, and what to do
  kubectl oauth status github

  # All of the cluster, with their Secrets and messages, until Ctrl-C
  kubectl oauth status -A -o wide --watch`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return o.run(c)
		},
	}
	c.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Show the connections of all namespaces")
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "Show it again after every change, until Ctrl-C")
	addOutputFlag(c, &o.output, "json", "yaml", "wide")
	return c
}

func (o *statusOptions) run(c *cobra.Command) error {
	switch {
	case o.allNamespaces && len(o.names) > 0:
		return usage(c, fmt.Errorf("a name and --all-namespaces do not go together"))
	case o.watch && (o.output == "json" || o.output == "yaml"):
		return usage(c, fmt.Errorf("--watch shows people's text only: use kubectl get oauthconnections --watch -o %s", o.output))
	case o.watch:
		return o.follow(c.Context())
	}
	return o.show(c.Context(), o.Out)
}

// show prints the state of now.
func (o *statusOptions) show(ctx context.Context, out io.Writer) error {
	if len(o.names) > 0 {
		return o.showOne(ctx, out)
	}
	list, err := o.list(ctx)
	switch {
	case err != nil:
		return err
	case o.output == "json" || o.output == "yaml":
		return printObject(out, o.output, list)
	case len(list.Items) == 0:
		return o.sayNone(out)
	}
	t := table{now: o.clock.Now(), paint: newPaint(o.Out), namespaces: o.allNamespaces, wide: o.output == "wide"}
	return t.print(out, list.Items)
}

func (o *statusOptions) showOne(ctx context.Context, out io.Writer) error {
	conn, err := o.connection(ctx, o.names[0])
	if err != nil {
		return err
	}
	if o.output == "json" || o.output == "yaml" {
		return printObject(out, o.output, conn)
	}
	warnings, err := o.warnings(ctx, conn)
	if err != nil && !apierrors.IsForbidden(err) {
		return err
	}
	s := screen{conn: conn, warnings: warnings, now: o.clock.Now(), paint: newPaint(o.Out), command: o.command, wide: o.output == "wide"}
	s.blind = apierrors.IsForbidden(err)
	return s.print(out)
}

func (o *statusOptions) list(ctx context.Context) (*v1alpha1.OAuthConnectionList, error) {
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	options, err := o.selected()
	if err != nil {
		return nil, err
	}
	list := &v1alpha1.OAuthConnectionList{}
	return list, c.List(ctx, list, options...)
}

// selected are the connections that the command line speaks of.
func (o *statusOptions) selected() ([]client.ListOption, error) {
	if o.allNamespaces {
		return nil, nil
	}
	namespace, err := o.namespace()
	if err != nil {
		return nil, err
	}
	options := []client.ListOption{client.InNamespace(namespace)}
	for _, name := range o.names {
		options = append(options, client.MatchingFields{"metadata.name": name})
	}
	return options, nil
}

// sayNone is no output for scripts, but part of a watched screen.
func (o *statusOptions) sayNone(out io.Writer) error {
	where := "this cluster"
	if !o.allNamespaces {
		namespace, err := o.namespace()
		if err != nil {
			return err
		}
		where = "namespace " + namespace
	}
	if !o.watch {
		out = o.ErrOut
	}
	_, err := fmt.Fprintf(out, "There are no connections in %s. Begin with: %s init --help\n", where, o.name)
	return err
}

// follow shows the state again whenever it changed. A terminal is drawn anew, also for the times to
// stay true; elsewhere one text follows the other.
func (o *statusOptions) follow(ctx context.Context) error {
	options, err := o.selected()
	if err != nil {
		return err
	}
	terminal := printers.IsTerminal(o.Out)
	every := time.Duration(0)
	if terminal {
		every = redrawEvery
	}
	var shown []byte
	look := func(ctx context.Context) (bool, error) {
		var text bytes.Buffer
		if err := o.show(ctx, &text); err != nil {
			return false, err
		}
		if bytes.Equal(text.Bytes(), shown) {
			return false, nil
		}
		again := shown != nil
		shown = text.Bytes()
		return false, draw(o.Out, shown, terminal, again)
	}
	return o.onChange(ctx, every, look, options...)
}

func draw(out io.Writer, text []byte, terminal, again bool) error {
	switch {
	case terminal:
		text = append([]byte(clearScreen), text...)
	case again:
		text = append([]byte("\n"), text...)
	}
	_, err := out.Write(text)
	return err
}
