// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/testenv/chromium"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// chromiumRig is a rig and a browser that reaches it, over http or as in production over https. There the
// operator and the provider are on the public internet, as far as the browser can tell, and kubectl oauth is
// on its own machine.
func chromiumRig(t *testing.T, secure bool) (*rig, *chromium.Browser) {
	t.Helper()
	if !secure {
		return newRig(t), chromium.Start(t)
	}
	var keys, hosts []string
	trust := func(address string, certificate *x509.Certificate) {
		sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
		keys = append(keys, base64.StdEncoding.EncodeToString(sum[:]))
		hosts = append(hosts, hostOf(address)+"=public")
	}
	r := newRigOf(t, idp.Options{TLS: true}, func(h http.Handler) *httptest.Server {
		server := httptest.NewTLSServer(h)
		trust(server.URL, server.Certificate())
		return server
	})
	r.moveToAnotherSite()
	r.Resolver.HTTP = r.idp.HTTPClient()
	block, _ := pem.Decode(r.idp.CA())
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	trust(r.idp.Issuer(), certificate)
	return r, chromium.Start(t,
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(keys, ",")),
		chromedp.Flag("ip-address-space-overrides", strings.Join(hosts, ",")))
}

func (r *rig) moveToAnotherSite() {
	r.PublicURL = strings.Replace(r.PublicURL, "127.0.0.1", "localhost", 1)
	r.Resolver.PublicURL = r.PublicURL
}

// overBoth runs a test over http and over https: the rules for cookies are not the same.
func overBoth(t *testing.T, test func(*testing.T, *rig, *chromium.Browser)) {
	for scheme, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(scheme, func(t *testing.T) {
			r, b := chromiumRig(t, secure)
			test(t, r, b)
		})
	}
}

// walk answers what pages ask, signing in as whom the provider suggests, and with "approve" or "deny".
func walk(t *testing.T, tab *chromium.Tab, shown *chromium.Page, decision string) *chromium.Page {
	t.Helper()
	for range 10 {
		switch choice := "button[value=" + decision + "]"; {
		case !tab.Has("form"):
			return shown
		case tab.Has(choice):
			shown = tab.Press(choice)
		default:
			shown = tab.Press("button")
		}
	}
	t.Fatalf("the pages have no end: %s", shown.Text)
	return nil
}

// expectShown says which notice a tab shows, and that nothing which it needs was blocked on the way.
func expectShown(t *testing.T, tab *chromium.Tab, shown *chromium.Page, n notice) {
	t.Helper()
	if w := wordsOf(n); shown.Status != w.Status || shown.Heading != w.Title {
		t.Errorf("status %d and %q, want the page %s", shown.Status, shown.Heading, n)
	}
	expectNoComplaints(t, tab)
}

func expectNoComplaints(t *testing.T, tab *chromium.Tab) {
	t.Helper()
	if complaints := tab.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser says %q", complaints)
	}
}

func TestInChromiumAPairedBrowserConnectsAnAccountOnce(t *testing.T) {
	overBoth(t, func(t *testing.T, r *rig, b *chromium.Browser) {
		p, tab := r.plugin(t, r.conn), b.Tab(t)
		consent := tab.Open(p.start)
		for _, words := range []string{"jane", r.conn.Namespace, "github", hostOf(r.idp.Issuer())} {
			if !strings.Contains(consent.Text, words) {
				t.Errorf("the consent page does not say %q: %s", words, consent.Text)
			}
		}
		if cookies := tab.Cookies(); len(cookies) != 1 || strings.HasPrefix(cookies[0], "__Host-") != r.https() {
			t.Errorf("cookies %q", cookies)
		}
		if r.idp.Count(idp.Authorize) != 0 {
			t.Error("the provider was asked before the person agreed")
		}
		shown := walk(t, tab, consent, "approve")
		expectShown(t, tab, shown, connect.Connected)
		if record := r.record(t, r.conn); record == nil || record.Authorization != p.attempt.UID {
			t.Errorf("stored: %+v", record)
		}
		expectShown(t, tab, tab.Open(shown.URL), unknownFlow)
		expectShown(t, tab, tab.Open(p.start), connect.AlreadyUsed)
		if n := r.idp.Count(idp.Token); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

func TestInChromiumADeniedConsentSaysSo(t *testing.T) {
	overBoth(t, func(t *testing.T, r *rig, b *chromium.Browser) {
		tab := b.Tab(t)
		expectShown(t, tab, walk(t, tab, tab.Open(r.plugin(t, r.conn).start), "deny"), connect.Denied)
		if r.idp.Count(idp.Token) != 0 || r.record(t, r.conn) != nil {
			t.Error("a denied consent has led to a token request")
		}
	})
}

func TestInChromiumWhoTakesTooLongIsToldSo(t *testing.T) {
	r, b := chromiumRig(t, true)
	p, tab := r.plugin(t, r.conn), b.Tab(t)
	tab.Open(p.start)
	atProvider := tab.Press("button")
	r.clock.SetTime(r.clock.Now().Add(connect.Lifetime))
	expectShown(t, tab, walk(t, tab, atProvider, "approve"), connect.FlowExpired)
	expectShown(t, tab, tab.Open(p.start), connect.FlowExpired)
	r.expectUntouched(t)
}

func TestInChromiumASecondBrowserGetsNowhere(t *testing.T) {
	overBoth(t, func(t *testing.T, r *rig, b *chromium.Browser) {
		p, first, second := r.plugin(t, r.conn), b.Tab(t), b.Tab(t)
		first.Open(p.start)
		paired := chromium.Eval[string](first, "location.href")
		expectShown(t, second, second.Open(p.start), otherBrowser)
		expectShown(t, second, second.Open(paired), otherBrowser)
		// What the provider has for the first browser, the second one can approve; but not bring back.
		atProvider := first.Press("button").URL
		expectShown(t, second, walk(t, second, second.Open(atProvider), "approve"), unknownFlow)
		r.expectUntouched(t)
	})
}

func TestInChromiumTheCodePairsTheBrowserThatShowsIt(t *testing.T) {
	overBoth(t, func(t *testing.T, r *rig, b *chromium.Browser) {
		attempt := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
		tab, other := b.Tab(t), b.Tab(t)
		shown := tab.Open(r.address(attempt))
		code := chromium.Eval[string](tab, "document.querySelector('.code').innerText")
		other.Open(r.address(attempt))
		if chromium.Eval[string](other, "document.querySelector('.code').innerText") == code {
			t.Error("two browsers are shown the same code")
		}
		if again := tab.Press("button"); again.Text != shown.Text {
			t.Errorf("before the code was typed: %s", again.Text)
		}
		r.pairWith(t, attempt, &v1alpha1.PairedBrowser{Code: code})
		if shown := other.Press("button"); !strings.Contains(shown.Text, "Another code was typed") {
			t.Errorf("another browser is shown %s", shown.Text)
		}
		expectNoComplaints(t, other)
		expectShown(t, tab, walk(t, tab, tab.Press("button"), "approve"), connect.Connected)
	})
}

func TestInChromiumWhoMayConnectSignsInAndConnects(t *testing.T) {
	r, _ := signInRig(t, false)
	b := chromium.Start(t)
	jane, joe := b.Tab(t), b.Tab(t)
	signInAs := func(tab *chromium.Tab, name string, want func() bool) *chromium.Page {
		tab.Open(r.page())
		tab.Fill("[name=username]", name)
		tab.Fill("[name=password]", name)
		tab.Press("button")
		shown := tab.Press("button[value=approve]")
		// The API server hears of a new role after a moment.
		for deadline := time.Now().Add(10 * time.Second); !want() && time.Now().Before(deadline); {
			shown = tab.Open(r.page())
		}
		return shown
	}
	consent := signInAs(jane, "jane", func() bool { return jane.Has("form") })
	if !strings.Contains(consent.Text, "jane@company.example") {
		t.Errorf("the consent page does not say who asks: %s", consent.Text)
	}
	expectShown(t, jane, walk(t, jane, consent, "approve"), connect.Connected)
	refusal := signInAs(joe, "joe", func() bool {
		return strings.Contains(chromium.Eval[string](joe, "document.body.innerText"), "joe@company.example")
	})
	expectShown(t, joe, refusal, mayNotConnect)
}

func TestInChromiumNoPageIsFramed(t *testing.T) {
	r, b := chromiumRig(t, false)
	for name, framed := range map[string]string{"consent": r.start(t, r.conn), "notice": r.PublicURL + "/connect/a/b"} {
		t.Run(name, func(t *testing.T) {
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, "<!doctype html><title>Lure</title><iframe src=%q></iframe>", framed)
			}))
			t.Cleanup(site.Close)
			tab := b.Tab(t)
			tab.Open(site.URL)
			said := strings.Join(tab.Complaints(), "\n")
			if !strings.Contains(said, "frame-ancestors") {
				t.Errorf("the page was framed; the browser says %q", said)
			}
		})
	}
}
