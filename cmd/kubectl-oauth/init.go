// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

type initOptions struct {
	*app
	set      map[string]string
	clientID string
	scopes   []string
	file     string
}

func newInitCommand(a *app) *cobra.Command {
	o := &initOptions{app: a}
	c := &cobra.Command{
		Use:   "init PROVIDER NAME",
		Short: "Write the YAML of a new connection to a built-in provider",
		Long: `Write the YAML of a new connection to a built-in provider, with the steps to take as comments. Nothing
is sent to the cluster.`,
		Example: `  # A connection named gitlab, to a server of one's own
  kubectl oauth init gitlab gitlab --set host=gitlab.example.com --scope read_user -f gitlab.yaml

  # See what there is, and what each needs
  kubectl oauth providers`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completePresets,
		RunE:              func(_ *cobra.Command, args []string) error { return o.run(args[0], args[1]) },
	}
	flags := c.Flags()
	flags.StringToStringVar(&o.set, "set", nil, "A parameter of the provider, as `name=value`; can be repeated")
	flags.Lookup("set").DefValue = "" // else the help shows an empty list
	flags.StringVar(&o.clientID, "client-id", "", "The client id that the provider gave")
	flags.StringSliceVar(&o.scopes, "scope", nil, "A scope to ask for; can be repeated")
	flags.StringVarP(&o.file, "file", "f", "", "Write to this new file, not to the standard output")
	cobra.CheckErr(c.RegisterFlagCompletionFunc("set", completeParameters))
	return c
}

// completeParameters offers the parameters of the provider that stands on the line.
func completeParameters(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	presets, err := catalog.Load()
	if err != nil || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entry, found := presets.Entry(args[0])
	if !found {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, p := range entry.Parameters {
		names = append(names, cobra.CompletionWithDesc(p.Name+"=", p.Description))
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (o *initOptions) run(provider, name string) error {
	presets, err := catalog.Load()
	if err != nil {
		return err
	}
	p, err := o.preset(presets, provider)
	if err != nil {
		return err
	}
	if err := o.check(p, name); err != nil {
		return err
	}
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	var scopes []v1alpha1.Scope
	for _, scope := range o.scopes {
		scopes = append(scopes, v1alpha1.Scope(scope))
	}
	d := catalog.Draft{
		Entry: p.Entry, Preset: p.Name, Namespace: namespace, Name: name, Parameters: o.set,
		ClientID: o.clientID, Scopes: scopes, Program: o.name, File: shellWord(cmp.Or(o.file, name+".yaml")),
	}
	if o.file == "" {
		_, err := fmt.Fprint(o.Out, d.YAML())
		return err
	}
	return o.write(d.YAML())
}

// check refuses what the API server or the operator would refuse later.
func (o *initOptions) check(p preset, name string) error {
	if wrong := validation.NameIsDNSSubdomain(name, false); len(wrong) > 0 {
		return &problem{Text: fmt.Sprintf("%q cannot be a connection's name: %s", name, wrong[0])}
	}
	next := o.name + " providers " + p.Name
	for parameter, value := range o.set {
		declared, found := p.Parameter(parameter)
		switch {
		case !found:
			return &problem{Text: fmt.Sprintf("%s has no parameter %q; %s", p.DisplayName, parameter, p.Declared()), Hint: next}
		case !declared.Allows(value):
			return &problem{Text: fmt.Sprintf("%q is not a value that %s can have: %s", value, parameter, declared.Description), Hint: next}
		}
	}
	for _, parameter := range p.Parameters {
		if _, given := o.set[parameter.Name]; !given && parameter.Default == "" {
			return &problem{Text: fmt.Sprintf("%s needs a value: %s", parameter.Name, parameter.Description), Hint: "add --set " + parameter.Name + "=…"}
		}
	}
	if !regexp.MustCompile(`^[\x20-\x7E]{0,256}$`).MatchString(o.clientID) {
		return &problem{Text: "a client id has printable ASCII characters only, at most 256"}
	}
	for _, scope := range o.scopes {
		if !regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,256}$`).MatchString(scope) {
			return &problem{Text: fmt.Sprintf("%q is no scope: it has blanks, quotes or the like (RFC 6749 section 3.3)", scope), Hint: "repeat --scope for each"}
		}
	}
	return nil
}

// write makes a new file: what somebody has filled in is never replaced.
func (o *initOptions) write(text string) error {
	file, err := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // #nosec G302 G304 -- it holds no secret, and the person names it
	if errors.Is(err, fs.ErrExist) {
		return &problem{Text: o.file + " exists already, and is not replaced", Hint: "remove it, or choose another name", cause: err}
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	o.say("Wrote %s. The steps to take stand at its top.", o.file)
	return nil
}
