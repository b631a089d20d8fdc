// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"net/http"
	"net/url"
)

// Browser does what a person's browser does: it keeps cookies by a browser's rules, follows
// redirects and sends Origin, Sec-Fetch-* and Cookie headers. The zero value is ready; all its
// pages share the cookies. Use it from one goroutine.
type Browser struct {
	// CA is a PEM bundle to trust for https, for instance Provider.CA.
	CA []byte
	// Until, where set, stops before a redirect for which it says true: the page returned has the
	// redirect's status and its Location header.
	Until func(next *url.URL) bool
}

// Page is what a browser shows at the end of all redirects.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	Forms  []Form
}

// Form is a form of a page.
type Form struct {
	Action  *url.URL
	Method  string
	Fields  url.Values // as filled in by the page
	Buttons []Button
}

// Button is one of a form's submit buttons.
type Button struct{ Name, Value, Text string }

// Open navigates as if the person had typed the address.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) { panic("being written") }

// Submit presses the button with this text, name or value ("" for the first form's first), after
// values have been typed into the form's fields.
func (p *Page) Submit(ctx context.Context, button string, values url.Values) (*Page, error) {
	panic("being written")
}

// Connect walks from the operator's start page through consent, the provider's login and approval
// to the page shown at the end.
func (b *Browser) Connect(ctx context.Context, start string, u User) (*Page, error) {
	panic("being written")
}

// Deny is Connect by a person who refuses at the provider.
func (b *Browser) Deny(ctx context.Context, start string, u User) (*Page, error) {
	panic("being written")
}

// Cookies are those the browser would send to an address.
func (b *Browser) Cookies(address string) []*http.Cookie { panic("being written") }
