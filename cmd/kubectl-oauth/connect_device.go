// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// device says whether a code is typed in at the provider (RFC 8628). No browser comes to this machine then.
func (c *connecting) device() bool { return c.before.Spec.Grant == v1alpha1.GrantDeviceCode }

// showCode tells the person where to type what, and opens the page, with the code filled in where the
// provider has that on the page which is shown, and on no other host.
func (c *connecting) showCode() error {
	status := c.attempt.Status
	shown, err := webAddress(status.VerificationURI)
	if err != nil {
		return err
	}
	complete, err := webAddress(cmp.Or(status.VerificationURIComplete, status.VerificationURI))
	if err != nil {
		return err
	}
	if complete.Host != shown.Host || complete.Scheme != shown.Scheme {
		complete = shown
	}
	how := "Your browser opens. If it does not, open this address in any browser"
	if c.options.NoBrowser {
		how = "Open this address in any browser"
	}
	c.progress.line(`%s:

  %s

and type in this code, or compare it:

  %s

Whoever types it in connects their account: give it to nobody.
`, how, status.VerificationURI, clean(status.UserCode))
	if !c.options.NoBrowser {
		c.openSoon(complete.String())
	}
	return nil
}
