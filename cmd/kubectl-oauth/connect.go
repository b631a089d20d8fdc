// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// connectOptions are the flags of connect.
type connectOptions struct {
	Code      bool
	NoBrowser bool
	Port      int
	Timeout   time.Duration
	Yes       bool
}

// patience is how long connect waits for others.
type patience struct {
	Operator time.Duration // to answer at all
	Provider time.Duration // to be asked by the operator for a code besides
	Settle   time.Duration // once the provider's response is there: its token endpoint may be slow
	Secret   time.Duration // to be written
	API      time.Duration // for one request that must not be cut off
	Again    time.Duration // between two looks, where no watch tells of changes
}

func defaultPatience() patience {
	return patience{
		Operator: 10 * time.Second,
		Provider: 30 * time.Second,
		Settle:   2 * time.Minute,
		Secret:   time.Minute,
		API:      10 * time.Second,
		Again:    2 * time.Second,
	}
}

func newConnectCommand(a *app) *cobra.Command {
	o := connectOptions{}
	command := &cobra.Command{
		Use:   "connect NAME",
		Short: "Connect an account: you consent in your browser, the operator keeps the token",
		Long: `Connect an account: you consent in your browser, the operator keeps the token.

The browser is opened here, and only this browser can go on: it has to reach kubectl oauth on this
machine. With --code it can be any browser: it shows a code that you type here. With grant DeviceCode
it can be any browser, too: you type a code of the provider into the provider's page. It takes the
right to create oauthauthorizations in the namespace, which ClusterRole edit has.`,
		Example: `  # Connect the account of OAuthConnection github in the current namespace
  kubectl oauth connect github

  # The browser is on another machine: forward a port to this one first,
  #   ssh -L 8000:127.0.0.1:8000 this-machine
  kubectl oauth connect github --no-browser --port 8000

  # The browser is on another machine, and the platform team allows typed codes
  kubectl oauth connect github --code`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeConnections,
		RunE: func(command *cobra.Command, args []string) error {
			if o.Timeout <= 0 || o.Port < 0 || o.Port > 65535 {
				return usage(command, errors.New("--timeout has to be more than 0, and --port is between 0 and 65535"))
			}
			c := &connecting{app: a, options: o, patience: defaultPatience(), open: openBrowser, asks: a.interactive(), name: args[0]}
			return c.connect(command.Context())
		},
	}
	flags := command.Flags()
	flags.BoolVar(&o.Code, "code", false, "Type a code that the browser shows, which can be on another machine")
	flags.BoolVar(&o.NoBrowser, "no-browser", false, "Print the address only")
	flags.IntVar(&o.Port, "port", 0, "Port of 127.0.0.1 to meet the browser at; 0 is any that is free")
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "How long to wait for the browser; at most ten minutes")
	flags.BoolVarP(&o.Yes, "yes", "y", false, "Replace an account that is connected already without asking")
	command.MarkFlagsMutuallyExclusive("code", "port")
	return command
}

// connecting is one run of connect.
type connecting struct {
	*app
	options  connectOptions
	patience patience
	open     func(address string) error // starts a browser
	asks     bool                       // somebody is there to answer
	name     string

	// Set by the steps.
	before   *v1alpha1.OAuthConnection
	username string
	listener net.Listener                 // nil where the browser does not come here
	key      client.ObjectKey             // of the attempt
	uid      types.UID                    // of the attempt: somebody else can take its name
	attempt  *v1alpha1.OAuthAuthorization // as it was seen last
	outcome  *outcome                     // what the browser waits for here, with redirect Loopback
	after    *v1alpha1.OAuthConnection

	progress *progress
	trouble  chan error // of those who serve the browser or the person meanwhile
	closers  []func()
}

// connect walks the steps and tidies up, however they end.
func (c *connecting) connect(ctx context.Context) error {
	c.progress = &progress{out: c.ErrOut, terminal: printers.IsTerminal(c.ErrOut)}
	c.trouble = make(chan error, 1)
	err := c.walk(ctx)
	c.progress.end()
	c.tidy(ctx)
	if ctx.Err() != nil && err != nil {
		c.progress.line("%s", c.interrupted())
		return ctx.Err()
	}
	return err
}

// walk takes one step after the other. The first error ends it.
func (c *connecting) walk(ctx context.Context) error {
	steps := []func(context.Context) error{
		c.check,   // everything that can be known before anything is made
		c.listen,  // where the browser comes to
		c.create,  // the OAuthAuthorization
		c.admit,   // the operator says where the browser starts
		c.send,    // the browser there
		c.consent, // the person consents, the operator saves
		c.publish, // the operator writes the Secret
		c.report,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
