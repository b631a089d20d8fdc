// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chromium drives a real browser in tests: the rules of cookies, of redirects and of the content
// security policy are then its own, and not ours as in package idp.
package chromium

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

const (
	// patience bounds the start of the browser and each of its steps.
	patience = 30 * time.Second
	// requiredVariable, where it is "1", makes tests fail that would be skipped for want of a browser.
	requiredVariable = "CHROMIUM_REQUIRED"
)

// Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Start runs Chromium until the end of the test. The test is skipped where there is none, unless
// CHROMIUM_REQUIRED=1.
func Start(t testing.TB, flags ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	program := find()
	if program == "" {
		const missing = "no Chromium on this machine: apt-get install chromium, or put one into the PATH"
		if os.Getenv(requiredVariable) == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-lcd-text", true),
		chromedp.Flag("disable-component-update", true),
	)
	if os.Geteuid() == 0 { // as in most containers; Chromium's sandbox refuses that
		options = append(options, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	watchdog := time.AfterFunc(patience, cancel)
	defer watchdog.Stop()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	return &Browser{ctx}
}

// find returns the path of a browser, or nothing.
func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Tab is a tab of a private window: it shares no cookies with others.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// Page is what a tab shows after all redirects.
type Page struct {
	URL    string
	Status int
	// Heading is the text of the first h1, and Text that of the whole page.
	Heading, Text string
	// Protocol is "h2" or "http/1.1".
	Protocol string
}

// Tab opens a tab in a private window of its own.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &Tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, tab.hear); err != nil {
		t.Fatal(err)
	}
	return tab
}

// hear keeps what a developer would read in the console. That a page has an error status is no complaint
// about it.
func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if !strings.HasPrefix(e.Entry.Text, "Failed to load resource: the server responded with a status of ") {
			tab.complaints = append(tab.complaints, string(e.Entry.Level)+": "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		tab.complaints = append(tab.complaints, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		tab.complaints = append(tab.complaints, fmt.Sprintf("console.%s", e.Type))
	}
}

// Complaints returns what the browser has complained about since the last call: what a policy blocked,
// for instance.
func (tab *Tab) Complaints() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	complaints := tab.complaints
	tab.complaints = nil
	return complaints
}

// Open goes to an address, as if a person had typed it.
func (tab *Tab) Open(address string) *Page {
	tab.t.Helper()
	return tab.load(chromedp.Navigate(address))
}

// Press clicks what the CSS selector finds first, and waits for the page that this leads to.
func (tab *Tab) Press(selector string) *Page {
	tab.t.Helper()
	return tab.load(chromedp.Click(chromedp.CSS(selector)))
}

// load waits for the page that a step leads to.
func (tab *Tab) load(step chromedp.Action[chromedp.Void]) *Page {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, step)
	if err != nil || response == nil {
		tab.t.Fatalf("no page is loaded: %v; the tab is at %s; the browser says %q", err, Eval[string](tab, "location.href"), tab.Complaints())
	}
	return &Page{
		URL:      Eval[string](tab, "location.href"),
		Status:   int(response.Status),
		Protocol: response.Protocol,
		Heading:  Eval[string](tab, "document.querySelector('h1')?.innerText ?? ''"),
		Text:     Eval[string](tab, "document.body.innerText"),
	}
}

// Fill types a value into the field that the CSS selector finds first.
func (tab *Tab) Fill(selector, value string) {
	tab.t.Helper()
	run(tab, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Cookies are the names of all cookies of the private window.
func (tab *Tab) Cookies() []string {
	tab.t.Helper()
	var names []string
	run(tab, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		result, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(ctx).BrowserContextID})
		for _, cookie := range result.Cookies {
			names = append(names, cookie.Name)
		}
		return err
	}))
	return names
}

// Has says whether the CSS selector finds anything.
func (tab *Tab) Has(selector string) bool {
	tab.t.Helper()
	return Eval[bool](tab, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// Eval runs an expression of JavaScript in the page, past its policy.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	return run(tab, chromedp.Evaluate[T](expression))
}

func run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatal(err)
	}
	return value
}

// Look is how a person looks at a page.
type Look struct {
	// Width is that of the window in CSS pixels; the height fits the page.
	Width int64
	Dark  bool
}

// Show lays the page out for a look.
func (tab *Tab) Show(look Look) {
	tab.t.Helper()
	const lowest = 200
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	run(tab, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}))
	run(tab, chromedp.EmulateViewport(look.Width, lowest))
	run(tab, chromedp.EmulateViewport(look.Width, Eval[int64](tab, "document.documentElement.scrollHeight")))
}

// Screenshot is a PNG of what the tab shows.
func (tab *Tab) Screenshot() []byte {
	tab.t.Helper()
	return run(tab, chromedp.CaptureScreenshot())
}
