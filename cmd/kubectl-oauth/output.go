// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// choice is a flag with a few values.
type choice struct {
	value   *string
	allowed []string
}

// String is the value.
func (c choice) String() string { return *c.value }

// Type is how help calls the value.
func (c choice) Type() string { return strings.Join(c.allowed, "|") }

// Set takes one of the values that are allowed.
func (c choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		return fmt.Errorf("it is one of %s", strings.Join(c.allowed, ", "))
	}
	*c.value = value
	return nil
}

// addOutputFlag adds -o with these formats.
func addOutputFlag(c *cobra.Command, value *string, formats ...string) {
	c.Flags().VarP(choice{value, formats}, "output", "o", "The format, instead of text for people")
	complete := cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)
	cobra.CheckErr(c.RegisterFlagCompletionFunc("output", complete))
}

// printObject prints an object or a list as kubectl does, without managed fields.
func printObject(out io.Writer, format string, object runtime.Object) error {
	if list, ok := object.(*v1alpha1.OAuthConnectionList); ok {
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OAuthConnectionList"))
		for i := range list.Items {
			prepare(&list.Items[i])
		}
	}
	if conn, ok := object.(*v1alpha1.OAuthConnection); ok {
		prepare(conn)
	}
	printer, err := genericclioptions.NewJSONYamlPrintFlags().ToPrinter(format)
	if err != nil {
		return err
	}
	return printer.PrintObj(object, out)
}

// prepare sets what typed clients leave out.
func prepare(conn *v1alpha1.OAuthConnection) {
	conn.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OAuthConnection"))
	conn.ManagedFields = nil
}

// paint colours text on terminals, unless NO_COLOR is set.
type paint struct{ on bool }

func newPaint(out io.Writer) paint { return paint{on: printers.AllowsColorOutput(out)} }

// Codes of ECMA-48 (SGR), all of one length: a table's columns stay aligned.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	grey   = "\x1b[90m"
	plain  = "\x1b[39m"
)

func (p paint) in(colour, text string) string {
	if !p.on {
		return text
	}
	return colour + text + plain
}
