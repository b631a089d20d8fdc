// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// preset is an entry of the catalogue with its name.
type preset struct {
	Name string `json:"name"`
	*catalog.Entry
}

func newProvidersCommand(a *app) *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:   "providers [NAME]",
		Short: "Show the built-in providers, and what each of them needs",
		Long: `Show the providers that are built in: with a name what to register there, its parameters, what people
trip over, and an example. The catalogue is that of this plugin; an older operator may lack an entry.
Any other provider is described by its issuer or its endpoints instead.`,
		Example: `  # All of them
  kubectl oauth providers

  # What GitLab needs
  kubectl oauth providers gitlab`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completePresets,
		RunE: func(_ *cobra.Command, args []string) error {
			presets, err := catalog.Load()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.listPresets(presets, output)
			}
			found, err := a.preset(presets, args[0])
			if err != nil {
				return err
			}
			return a.showPreset(found, output)
		},
	}
	addOutputFlag(c, &output, "json", "yaml", "wide")
	return c
}

// completePresets offers the catalogue's names for the first argument.
func completePresets(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	presets, err := catalog.Load()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		names = append(names, cobra.CompletionWithDesc(name, entry.DisplayName))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) preset(presets *catalog.Catalog, name string) (preset, error) {
	entry, found := presets.Entry(name)
	if found {
		return preset{name, entry}, nil
	}
	p := &problem{
		Text: fmt.Sprintf("there is no built-in provider %q", name),
		Hint: fmt.Sprintf("all %d of them: %s providers; any other is described by its issuer or its endpoints", len(presets.Names()), a.name),
	}
	if near := nearest(presets.Names(), name); len(near) > 0 {
		p.Hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return preset{}, p
}

func (a *app) listPresets(presets *catalog.Catalog, output string) error {
	var all []preset
	for _, name := range presets.Names() {
		entry, _ := presets.Entry(name)
		all = append(all, preset{name, entry})
	}
	if output == "json" || output == "yaml" {
		return printValue(a.Out, output, all)
	}
	w := printers.GetNewTabWriter(a.Out)
	header := []string{"NAME", "PROVIDER", "CATEGORY", "PARAMETERS"}
	if output == "wide" {
		header = append(header, "DOCUMENTATION")
	}
	if err := row(w, header); err != nil {
		return err
	}
	for _, p := range all {
		cells := []string{p.Name, p.DisplayName, string(p.Category), dash(strings.Join(p.parameters(), ", "))}
		if output == "wide" {
			cells = append(cells, p.Documentation)
		}
		if err := row(w, cells); err != nil {
			return err
		}
	}
	return w.Flush()
}

// parameters are their names, those that may be left out in brackets.
func (p preset) parameters() []string {
	var names []string
	for _, parameter := range p.Parameters {
		name := parameter.Name
		if parameter.Default != "" {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return names
}

// printValue prints what is no Kubernetes object.
func printValue(out io.Writer, format string, value any) error {
	raw, err := json.MarshalIndent(value, "", "    ")
	if err == nil && format == "yaml" {
		raw, err = yaml.JSONToYAML(raw)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimSuffix(string(raw), "\n"))
	return err
}

func (a *app) showPreset(p preset, output string) error {
	if output == "json" || output == "yaml" {
		return printValue(a.Out, output, p)
	}
	namespace, err := a.namespace()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s\n%s\n", p.DisplayName, p.Documentation)
	p.printFacts(a.Out)
	if redirect := p.RedirectURI("<namespace>", "<name>"); redirect != "" {
		fmt.Fprintf(a.Out, "\nRedirect URI to register\n  %s\n", redirect)
	}
	fmt.Fprintf(a.Out, "\nExample: %s init %s %s%s\n\n", a.name, p.Name, p.Name, p.exampleFlags())
	d := catalog.Draft{
		Entry: p.Entry, Preset: p.Name, Namespace: namespace, Name: p.Name,
		Parameters: p.ExampleParameters(), Scopes: p.ExampleScopes, Program: a.name,
	}
	_, err = io.WriteString(a.Out, d.YAML())
	return err
}

func (p preset) printFacts(out io.Writer) {
	if len(p.Parameters) > 0 {
		fmt.Fprintln(out, "\nParameters")
	}
	for _, parameter := range p.Parameters {
		value := "needed"
		if parameter.Default != "" {
			value = "default " + parameter.Default
		}
		fmt.Fprintf(out, "  %s (%s): %s\n", parameter.Name, value, parameter.Description)
	}
	if len(p.Grants) > 0 {
		fmt.Fprintf(out, "\nGrants\n  %s\n", joined(p.Grants))
	}
	if scopes := p.Spec.Scopes; scopes != nil && len(scopes.Required) > 0 {
		fmt.Fprintf(out, "\nScopes that are always asked for\n  %s\n", joined(scopes.Required))
	}
	fmt.Fprintln(out, "\nNotes")
	for _, note := range p.Notes {
		fmt.Fprintf(out, "  - %s\n", note)
	}
}

func joined[T ~string](texts []T) string {
	words := make([]string, len(texts))
	for i, s := range texts {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

func (p preset) exampleFlags() string {
	flags := ""
	values := p.ExampleParameters()
	for _, parameter := range p.Parameters {
		if value, needed := values[parameter.Name]; needed {
			flags += fmt.Sprintf(" --set %s=%s", parameter.Name, value)
		}
	}
	return flags
}
