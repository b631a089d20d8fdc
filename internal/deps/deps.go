// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package deps keeps modules in go.mod while the code that uses them is being written.
package deps

import (
	_ "github.com/chromedp/chromedp"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/cli-runtime/pkg/printers"
)
