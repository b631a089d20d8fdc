// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

func newProvidersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "providers",
		Short: "Show the providers that the operator knows",
		Example: `  # All of them
  kubectl oauth providers`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(*cobra.Command, []string) error {
			presets, err := catalog.Load()
			if err != nil {
				return err
			}
			table := printers.GetNewTabWriter(a.Out)
			for _, name := range presets.Names() {
				entry, _ := presets.Entry(name)
				if _, err := table.Write([]byte(name + "\t" + entry.DisplayName + "\n")); err != nil {
					return err
				}
			}
			return table.Flush()
		},
	}
}
