// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// kubectlScript is what kubectl runs to complete a plugin's line.
//
//go:embed kubectl_complete-oauth
var kubectlScript string

// addCompletion adds to cobra's command what kubectl needs, and the completion of kubectl's own flags.
func (a *app) addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd("kubectl")
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.AddCommand(newKubectlCompletion(a))
			explainCompletion(c)
		}
	}
	cobra.CheckErr(root.RegisterFlagCompletionFunc("namespace", a.completeNamespaces))
	cobra.CheckErr(root.RegisterFlagCompletionFunc("context", a.completeContexts))
}

func explainCompletion(c *cobra.Command) {
	c.Short = "Print a script that completes command lines, for a shell or for kubectl"
	c.Long = `Print a script that completes command lines. As a plugin, "kubectl oauth …" is completed by kubectl's own
completion, which runs kubectl_complete-oauth from the PATH: "completion kubectl" prints it. The other
scripts complete the binary kubectl-oauth itself.`
	c.Example = `  # For "kubectl oauth …", where kubectl's own completion is set up already
  kubectl oauth completion kubectl > ~/.local/bin/kubectl_complete-oauth
  chmod +x ~/.local/bin/kubectl_complete-oauth`
}

func newKubectlCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl",
		Short: "Print kubectl_complete-oauth, by which kubectl completes this plugin",
		Example: `  kubectl oauth completion kubectl > ~/.local/bin/kubectl_complete-oauth
  chmod +x ~/.local/bin/kubectl_complete-oauth`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Out, kubectlScript)
			return err
		},
	}
}

func (a *app) completeNamespaces(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cluster, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list := &corev1.NamespaceList{}
	if err := cluster.List(c.Context(), list); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for i := range list.Items {
		if name := list.Items[i].Name; len(validation.IsDNS1123Label(name)) == 0 {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	kubeconfig, err := a.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for name := range kubeconfig.Contexts {
		names = append(names, name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
