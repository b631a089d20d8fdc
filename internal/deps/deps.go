// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package deps keeps modules in go.mod while the code that uses them is being written.
package deps

import (
	_ "github.com/chromedp/chromedp"
)
