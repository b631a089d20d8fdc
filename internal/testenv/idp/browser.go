// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	maxRedirects = 20
	maxPage      = 4 << 20
	// maxPages bounds a walk: start, consent, login, approval and the page at the end are five.
	maxPages = 10
)

// Browser does what a person's browser does: it keeps cookies by a browser's rules, follows
// redirects, obeys form-action of a page's Content-Security-Policy also in redirects (as Chrome
// does), and sends Origin, Sec-Fetch-* and Cookie headers. The zero value is ready; all its pages
// share the cookies. Use it from one goroutine.
type Browser struct {
	// CA is a PEM bundle to trust for https, for instance Provider.CA.
	CA []byte
	// Until, where set, stops before a redirect for which it says true: the page returned has the
	// redirect's status and its Location header.
	Until func(next *url.URL) bool

	jar       jar
	transport http.RoundTripper
}

// navigation is one step of a tab: from an address typed or a form submitted, over redirects, to a page.
type navigation struct {
	method string
	target *url.URL
	body   string
	from   *Page  // nil: typed by the person
	site   string // the worst relation of the chain so far: none, same-origin, same-site or cross-site
}

// Open navigates as if the person had typed the address.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return b.navigate(ctx, &navigation{method: http.MethodGet, target: target, site: "none"})
}

func (b *Browser) navigate(ctx context.Context, n *navigation) (*Page, error) {
	for range maxRedirects {
		if n.from != nil {
			n.site = worse(n.site, relation(n.from.URL, n.target))
			if !n.from.allowsFormTo(n.target) {
				return nil, fmt.Errorf("form-action of %s forbids %s", n.from.URL.Redacted(), origin(n.target))
			}
		}
		response, err := b.send(ctx, n)
		if err != nil {
			return nil, err
		}
		next, err := redirectOf(response)
		if err != nil {
			return nil, err
		}
		if next == nil || b.Until != nil && b.Until(next) {
			return b.page(n.target, response)
		}
		_ = response.Body.Close()
		n.follow(response.StatusCode, next)
	}
	return nil, fmt.Errorf("more than %d redirects", maxRedirects)
}

// redirectOf returns where a response leads, or nil.
func redirectOf(response *http.Response) (*url.URL, error) {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return response.Location()
	}
	return nil, nil
}

// follow turns POST into GET except for 307 and 308.
func (n *navigation) follow(status int, next *url.URL) {
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		n.method, n.body = http.MethodGet, ""
	}
	if next.Fragment == "" {
		next.Fragment = n.target.Fragment
	}
	n.target = next
}

func (b *Browser) send(ctx context.Context, n *navigation) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, n.method, n.target.String(), strings.NewReader(n.body))
	if err != nil {
		return nil, err
	}
	request.Header = n.header()
	for _, cookie := range b.jar.send(n) {
		request.AddCookie(cookie)
	}
	if b.transport == nil {
		b.transport = transport(b.CA)
	}
	response, err := b.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	b.jar.store(n, response.Cookies())
	return response, nil
}

// header is what Fetch and Fetch Metadata prescribe for a navigation.
func (n *navigation) header() http.Header {
	header := http.Header{
		"Accept":                    {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
		"Accept-Language":           {"en"},
		"Upgrade-Insecure-Requests": {"1"},
		"User-Agent":                {"Mozilla/5.0 (oauth-operator test browser)"},
	}
	if trustworthy(n.target) {
		header.Set("Sec-Fetch-Site", n.site)
		header.Set("Sec-Fetch-Mode", "navigate")
		header.Set("Sec-Fetch-User", "?1")
		header.Set("Sec-Fetch-Dest", "document")
	}
	if n.method == http.MethodPost {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		header.Set("Origin", n.from.originFor(n.target))
	}
	return header
}

func (b *Browser) page(address *url.URL, response *http.Response) (*Page, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return nil, err
	}
	p := &Page{URL: address, Status: response.StatusCode, Header: response.Header, Body: string(body), browser: b}
	p.Forms, err = parseForms(p)
	return p, err
}

// Connect walks from the operator's start page through consent, the provider's login and approval
// to the page shown at the end. It signs in wherever a form has a password and presses the first
// button of all other forms. A page with an error status ends the walk.
func (b *Browser) Connect(ctx context.Context, start string, u User) (*Page, error) {
	return b.walk(ctx, start, u, "approve")
}

// Deny is Connect by a person who refuses at the provider.
func (b *Browser) Deny(ctx context.Context, start string, u User) (*Page, error) {
	return b.walk(ctx, start, u, "deny")
}

func (b *Browser) walk(ctx context.Context, start string, u User, decision string) (*Page, error) {
	page, err := b.Open(ctx, start)
	for range maxPages {
		if err != nil || page.Status >= http.StatusMultipleChoices || len(page.Forms) == 0 {
			return page, err
		}
		form := page.Forms[0]
		switch {
		case form.Fields.Has("password"):
			page, err = page.Submit(ctx, "", url.Values{"username": {u.Name}, "password": {u.Password}})
		case form.has(decision):
			page, err = page.Submit(ctx, decision, nil)
		default:
			page, err = page.Submit(ctx, "", nil)
		}
	}
	return nil, fmt.Errorf("more than %d pages", maxPages)
}

// Cookies are those the browser would send to an address that the person types.
func (b *Browser) Cookies(address string) []*http.Cookie {
	target, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return b.jar.send(&navigation{method: http.MethodGet, target: target, site: "none"})
}
