// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// verbs are the subcommands. A new verb is a file with its constructor, and a line here.
func verbs() []func(*app) *cobra.Command {
	return []func(*app) *cobra.Command{
		newStatusCommand,
		newRefreshCommand,
		newDisconnectCommand,
		newTokenCommand,
		newConnectCommand,
		newProvidersCommand,
		newInitCommand,
		newDoctorCommand,
	}
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-oauth",
		Short: "OAuth accounts in Kubernetes: connect them, and see how their tokens are",
		Long: `OAuth accounts in Kubernetes: connect them, and see how their tokens are.

An OAuthConnection holds one account of one provider; oauth-operator keeps a fresh access token of it
in a Secret. The usual flags of kubectl (--as, --cluster, --request-timeout, ...) work here too.`,
		Annotations:           map[string]string{cobra.CommandDisplayNameAnnotation: a.name},
		Version:               version(),
		SilenceErrors:         true,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
		Args:                  knownVerb,
		RunE:                  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.ErrOut)
	root.SetFlagErrorFunc(usage)
	a.addFlags(root)
	for _, newVerb := range verbs() {
		verb := newVerb(a)
		verb.Args = explainArgs(verb.Args)
		verb.Example = strings.ReplaceAll(verb.Example, "kubectl oauth", a.name)
		root.AddCommand(verb)
	}
	a.addCompletion(root)
	return root
}

// knownVerb refuses what the command line begins with: cobra hands the root what is no verb.
func knownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	p := &problem{Text: fmt.Sprintf("there is no command %q", args[0]), Hint: c.CommandPath() + " --help"}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		p.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return p
}

// explainArgs says what the line has to look like, where an argument check fails.
func explainArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil || check(c, args) == nil {
			return nil
		}
		return usage(c, fmt.Errorf("wrong number of arguments (%d): the line is %s", len(args), c.UseLine()))
	}
}

// version is that of the module: Go takes it from the tag that the build is of.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
