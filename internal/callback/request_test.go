// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"

	"github.com/oauth-operator/oauth-operator/internal/connect"
)

func TestNothingOfARequestIsRepeated(t *testing.T) {
	r := newRig(t)
	ns := r.conn.Namespace
	for _, payload := range []string{
		"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'", "javascript:alert(1)",
		"{{.Pass}}", "${7*7}", "</style><svg onload=alert(1)>", "\r\nSet-Cookie: a=b", "%0d%0aX: y", "\u202exss", "xss\x00xss",
	} {
		escaped := url.QueryEscape(payload)
		segment := url.PathEscape(payload)
		for _, address := range []string{
			"/connect/" + ns + "/github?ticket=" + escaped,
			"/connect/" + segment + "/github",
			"/connect/" + ns + "/" + segment,
			"/callback/ns/" + ns + "/github?state=" + escaped + "&code=" + escaped,
			"/callback/ns/" + ns + "/github?state=" + strings.Repeat("a", 43) + "&error=" + escaped + "&error_description=" + escaped,
			"/callback/ns/" + ns + "/" + segment + "?state=" + strings.Repeat("a", 43) + "&code=" + escaped,
			"/callback/provider/" + ns + "/" + segment + "?iss=" + escaped,
			"/callback/cluster/" + segment,
			"/" + segment,
			"/?" + escaped,
		} {
			resp, body := get(t, http.MethodGet, r.url+address)
			expectHeaders(t, resp.Header)
			text := body + fmt.Sprint(resp.Header)
			for _, part := range []string{payload, escaped, segment, "alert(1)", "xss"} {
				if strings.Contains(text, part) && part != "{{.Pass}}" || strings.Contains(text, "{{") {
					t.Errorf("%s: the answer repeats %q", address, part)
				}
			}
			if resp.StatusCode < 400 {
				t.Errorf("%s: status %d", address, resp.StatusCode)
			}
		}
	}
}

func TestPathsThatAreNotOursAreNoRedirects(t *testing.T) {
	r := newRig(t)
	for _, target := range []string{"/", "/favicon.ico", "//evil.example/", "/connect//x", "/connect/a/b/", "/connect/../connect/a/b", "/connect/a%2fb/c", "/callback/ns/a", "/healthz", "/metrics"} {
		resp, body := get(t, http.MethodGet, r.url+target)
		if resp.StatusCode != http.StatusNotFound || title(body) != wordsOf(pageNotFound).Title {
			t.Errorf("%s: status %d, Location %q", target, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

func TestMethodsThatAreNotOursAreRefused(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "TRACK"} {
		resp, _ := get(t, method, address, b.Cookies(r.PublicURL)...)
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET" {
			t.Errorf("%s at the callback: status %d", method, resp.StatusCode)
		}
		expectHeaders(t, resp.Header)
	}
	r.expectUntouched(t)
	for method, want := range map[string]int{http.MethodHead: 200, http.MethodPut: 405, http.MethodDelete: 405} {
		resp, body := get(t, method, r.start(t, r.conn))
		if resp.StatusCode != want || method == http.MethodHead && body != "" {
			t.Errorf("%s at the start: status %d", method, resp.StatusCode)
		}
	}
}

func TestOnlyOurOwnPageStarts(t *testing.T) {
	r := newRig(t)
	start, _ := url.Parse(r.start(t, r.conn))
	form := open(t, &idp.Browser{}, start.String()).Forms[0].Fields.Encode()
	address := r.url + start.Path
	for name, row := range map[string]struct {
		header http.Header
		status int
	}{
		"our page":          {http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}}, 303},
		"our page, old":     {http.Header{"Origin": {r.url}}, 303},
		"another site":      {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, 403},
		"a neighbour":       {http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		"another site, old": {http.Header{"Origin": {"https://evil.example"}}, 403},
		"a sandbox, old":    {http.Header{"Origin": {"null"}}, 403},
	} {
		row.header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, _ := send(t, http.MethodPost, address, form, row.header)
		if resp.StatusCode != row.status {
			t.Errorf("%s: status %d, want %d", name, resp.StatusCode, row.status)
		}
	}
	if n := len(r.attempts(t)); n != 2 {
		t.Errorf("%d attempts", n)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	r := newRig(t)
	start, _ := url.Parse(r.start(t, r.conn))
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	resp, _ := send(t, http.MethodPost, r.url+start.Path, "x="+strings.Repeat("x", maxForm)+"&"+start.Query().Encode(), header)
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: status %d", resp.StatusCode)
	}
	resp, _ = get(t, http.MethodGet, r.url+start.Path+"?x="+strings.Repeat("x", maxTarget))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long address: status %d", resp.StatusCode)
	}
	// The ticket counts in the form only, so that a link cannot start by itself.
	resp, _ = send(t, http.MethodPost, r.url+start.RequestURI(), "", header)
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a ticket in the address: status %d", resp.StatusCode)
	}
}

func TestAFloodOfOneAddressIsThrottled(t *testing.T) {
	r := newRig(t)
	s := newServer(t, r)
	s.Limits = Limits{PerMinute: 60, Burst: 3}
	address := r.serve(t, s) + "/connect/a/b"
	for i, want := range []int{403, 403, 403, 429, 429} {
		resp, body := get(t, http.MethodGet, address)
		if resp.StatusCode != want {
			t.Errorf("request %d: status %d, want %d", i, resp.StatusCode, want)
		}
		if want == 429 && (resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, "Wait a minute")) {
			t.Errorf("headers %v", resp.Header)
		}
	}
	r.clock.SetTime(r.clock.Now().Add(2 * time.Second))
	if resp, _ := get(t, http.MethodGet, address); resp.StatusCode != http.StatusForbidden {
		t.Errorf("after a wait: status %d", resp.StatusCode)
	}
	if r.counted("throttled") != 2 {
		t.Errorf("%d are counted", r.counted("throttled"))
	}
}

func TestAFloodOfStartsCostsNoWritesAndLittleMemory(t *testing.T) {
	r := newRig(t)
	handler := r.Handler()
	before := heap()
	for i := range 10000 {
		req := httptest.NewRequest(http.MethodGet, "/connect/"+r.conn.Namespace+"/github?ticket=forged", nil)
		req.RemoteAddr = fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>8, i&255)
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
	if grown := heap() - before; grown > 10<<20 {
		t.Errorf("%d bytes are held", grown)
	}
	if n := len(r.attempts(t)); n != 0 {
		t.Errorf("%d attempts", n)
	}
	runtime.KeepAlive(handler)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTheClientsAddressIsOfTheLastHopThatIsNotOurs(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, row := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"no proxy":            {"192.0.2.1:5", nil, "192.0.2.1"},
		"a stranger's claim":  {"192.0.2.1:5", []string{"198.51.100.7"}, "192.0.2.1"},
		"one proxy":           {"10.0.0.1:5", []string{"198.51.100.7"}, "198.51.100.7"},
		"two proxies":         {"10.0.0.1:5", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		"forged entries":      {"10.0.0.1:5", []string{"1.1.1.1, 2.2.2.2", "198.51.100.7,10.9.9.9"}, "198.51.100.7"},
		"garbage":             {"10.0.0.1:5", []string{"1.1.1.1, <script>"}, "10.0.0.1"},
		"proxies only":        {"10.0.0.1:5", []string{"10.0.0.3"}, "10.0.0.3"},
		"IPv6 by network":     {"[2001:db8:1:2:3:4:5:6]:5", nil, "2001:db8:1:2::"},
		"IPv6 behind a proxy": {"[fd00::1]:5", []string{"2001:db8::7"}, "2001:db8::"},
		"IPv4 in IPv6":        {"[::ffff:192.0.2.1]:5", nil, "192.0.2.1"},
		"a zone":              {"[fe80::1%eth0]:5", nil, "fe80::"},
		"many entries":        {"10.0.0.1:5", []string{strings.Repeat("10.0.0.2,", 1000) + "10.0.0.2"}, "10.0.0.2"},
	} {
		l := newLimiter(Limits{TrustedProxies: proxies}, clocktesting.NewFakePassiveClock(time.Now()))
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr, req.Header["X-Forwarded-For"] = row.remote, row.forwarded
		if got := l.client(req).String(); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestThePolicyNamesTheStyleSheetThatIsSent(t *testing.T) {
	r := newRig(t)
	for _, address := range []string{r.start(t, r.conn), r.url + "/nowhere"} {
		resp, body := get(t, http.MethodGet, address)
		style := regexp.MustCompile("(?s)<style>(.*)</style>").FindStringSubmatch(body)
		if style == nil {
			t.Fatal(body)
		}
		sum := sha256.Sum256([]byte(style[1]))
		want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
		for _, forbidden := range []string{"<script", " style=", "http://", "https://", "url("} {
			if strings.Contains(body, forbidden) {
				t.Errorf("the page has %q", forbidden)
			}
		}
		if !strings.Contains(body, `<html lang="en">`) || strings.Count(body, "<h1>") != 1 || !strings.Contains(body, "<main") {
			t.Error("the page is not well formed")
		}
	}
}

func TestOverHTTPSCookiesBelongToThisHostAlone(t *testing.T) {
	r := newRig(t)
	s := newServer(t, r)
	s.PublicURL = "https://oauth.example.com/oauth"
	s.Resolver.PublicURL = s.PublicURL
	address := r.serve(t, s)
	start, _ := url.Parse(r.start(t, r.conn))
	form := open(t, &idp.Browser{}, start.String()).Forms[0].Fields.Encode()
	resp, _ := send(t, http.MethodPost, address+"/oauth"+start.Path, form, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("status %d, cookies %v", resp.StatusCode, cookies)
	}
	c := cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-oauth-flow-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("cookie %s %+v", c.Name, c)
	}
	to, _ := url.Parse(resp.Header.Get("Location"))
	if got := to.Query().Get("redirect_uri"); got != "https://oauth.example.com/oauth/callback/ns/"+r.conn.Namespace+"/github" {
		t.Errorf("redirect_uri %s", got)
	}
	for _, name := range []string{"state", "code_challenge", "nonce"} {
		if to.Query().Get(name) == "" {
			t.Errorf("%s is missing", name)
		}
	}
	back := address + "/oauth/callback/ns/" + r.conn.Namespace + "/github?code=wrong&iss=" + url.QueryEscape(r.idp.Issuer()) + "&state=" + to.Query().Get("state")
	if _, body := get(t, http.MethodGet, back, c); title(body) != wordsOf(connect.CodeRefused).Title {
		t.Errorf("the way back: %s", title(body))
	}
	if resp, _ = get(t, http.MethodGet, address+start.Path); resp.StatusCode != http.StatusNotFound {
		t.Errorf("outside of the public path: status %d", resp.StatusCode)
	}
}

func TestEveryNoticeHasItsWords(t *testing.T) {
	fallback := wordsOf(connect.Unavailable)
	all := []notice{
		mayNotConnect, signInBroken, signInDown, signInDenied, signInRefused, signInTooManyGroups, noAttempt, otherBrowser, connect.PluginNeeded, connect.DeviceNeeded, connect.AccountNotExpected, connect.AccountUnknown, connect.ExchangeRefused,
		noTicket, pageNotFound, methodNotAllowed, tooManyRequests, requestTooLarge, crossOrigin, connect.ConnectionGone,
		connect.ConnectionSuspended, connect.NoPersonNeeded, connect.NotReady, connect.BadResponse, unknownFlow, connect.FlowExpired, connect.ClientChanged, connect.WrongIssuer,
		connect.AlreadyUsed, connect.Denied, connect.ProviderFailed, connect.RequestRefused, connect.CodeRefused, connect.ClientRefused, connect.ExchangeFailed, connect.AddressBlocked,
		connect.ForeignToken, connect.Superseded, connect.NotSaved, connect.Connected, connect.ConnectedUnsaved,
	}
	for _, n := range all {
		w := wordsOf(n)
		if w.Title == "" || w.Title == fallback.Title || w.Status < 200 || !slices.Contains([]string{"good", "bad", "plain"}, w.Tone) {
			t.Errorf("%s has no words of its own: %+v", n, w)
		}
	}
}
