// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/url"
	"strings"

	"github.com/cli/browser"
)

var errUnknownAddress = &problem{
	Text: "the operator sent an address that kubectl oauth does not understand",
	Hint: "update kubectl oauth, or the operator, so that both have the same version",
}

// openBrowser starts the person's browser. What that prints is nobody's business.
func openBrowser(address string) error {
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	return browser.OpenURL(address)
}

// webAddress parses an address before it is given to a program of this machine and to a terminal:
// other schemes can start anything, and other characters can do anything to a terminal.
func webAddress(raw string) (*url.URL, error) {
	address, err := url.Parse(raw)
	switch {
	case err != nil, strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errUnknownAddress
	case address.Scheme != "https" && address.Scheme != "http", address.Host == "", address.User != nil, strings.Contains(raw, "#"):
		return nil, errUnknownAddress
	}
	return address, nil
}
