// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// secure sets the headers of every answer. Pages have one inline style sheet, known by its hash source,
// and nothing else: no script, no picture, no font, no frame.
func secure(h http.Header, style, formAction string) {
	if formAction == "" {
		formAction = "'none'"
	}
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "style-src '" + style + "'", "form-action " + formAction,
		"frame-ancestors 'none'", "base-uri 'none'",
	}, "; "))
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", referrerPolicy(formAction))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// referrerPolicy keeps code and state, which stand in addresses, on this server. With no-referrer a
// browser posts a form with "Origin: null". That does no harm where it also says Sec-Fetch-Site,
// which not all do, and none does over plain http: a page with a form has same-origin, which tells
// the provider as little.
func referrerPolicy(formAction string) string {
	if formAction == "'none'" {
		return "no-referrer"
	}
	return "same-origin"
}

// hashSource is a style sheet's name in a policy (CSP Level 3 section 2.3.1).
func hashSource(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
