// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"regexp"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// typeCode asks for the code that the browser shows, until it has the form of one and the cluster has
// taken it. Whether it is the right one shows when the browser goes on.
func (c *connecting) typeCode(ctx context.Context) {
	for {
		line, err := c.question(ctx, "The page shows a code. Type it here: ")
		if err != nil {
			select {
			case c.trouble <- err:
			case <-ctx.Done():
			}
			return
		}
		code, ok := parseCode(line)
		if !ok {
			c.progress.line("That is no code: it has eight letters and no vowels, as in BCDF-GHJK.")
			continue
		}
		if c.add(ctx, "browser", &v1alpha1.PairedBrowser{Code: code}) == nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// parseCode forgives case, dashes and spaces.
func parseCode(typed string) (string, bool) {
	letters := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{8}$`).MatchString(letters) {
		return "", false
	}
	return letters[:4] + "-" + letters[4:], true
}

// question asks the person something.
func (c *connecting) question(ctx context.Context, text string) (string, error) {
	c.progress.ask(text)
	answer, err := c.readLine(ctx)
	if err == nil {
		c.progress.answered()
	}
	return answer, err
}
