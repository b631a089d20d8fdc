// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

var (
	hashA = strings.Repeat("0a", 32)
	hashB = strings.Repeat("0b", 32)
)

// localRig is a listener with everything that it was told to pass on.
type localRig struct {
	host string

	mu       sync.Mutex
	browsers []v1alpha1.PairedBrowser
	answers  []v1alpha1.AuthorizationResponse
	refuse   error // what the cluster says
}

func (l *localRig) vouch(b *v1alpha1.PairedBrowser) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse == nil {
		l.browsers = append(l.browsers, *b)
	}
	return l.refuse
}

func (l *localRig) hand(r *v1alpha1.AuthorizationResponse) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse == nil {
		l.answers = append(l.answers, *r)
	}
	return l.refuse
}

func (l *localRig) vouched() []v1alpha1.PairedBrowser {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.browsers)
}

func (l *localRig) handed() []v1alpha1.AuthorizationResponse {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.answers)
}

func (l *localRig) serve(t *testing.T, handler *loopback) {
	t.Helper()
	listener, err := listenLoopback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	l.host, handler.host = listener.Addr().String(), listener.Addr().String()
	t.Cleanup(serveLoopback(listener, handler))
}

func pairingRig(t *testing.T) (*localRig, *pairing) {
	t.Helper()
	l := &localRig{}
	p, err := newPairing("https://oauth.example.com/authorize/uid")
	if err != nil {
		t.Fatal(err)
	}
	p.vouch = l.vouch
	l.serve(t, &loopback{path: pairPath, arrive: p.arrive})
	return l, p
}

func responseRig(t *testing.T) (*localRig, *response) {
	t.Helper()
	const path = "/callback/ns/team/github"
	l := &localRig{}
	r := &response{state: newSecret(), outcome: newOutcome(), hand: l.hand}
	l.serve(t, &loopback{path: path, arrive: r.arrive})
	made, got, err := newResponse("https://idp.example.com/auth?client_id=x&redirect_uri="+url.QueryEscape("http://"+l.host+path), l.host)
	if err != nil || got != path {
		t.Fatalf("got path %q and %v", got, err)
	}
	r.authorize = made.authorize
	return l, r
}

// get asks the listener and follows no redirect.
func (l *localRig) get(t *testing.T, method, target string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.host+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Host = header.Get("Host")
		header.Del("Host")
		for name := range header {
			req.Header[name] = header[name]
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// raw sends bytes and returns the status line.
func (l *localRig) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", l.host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, request) // a server that has enough may close early
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func TestTheBrowserThatWasOpenedIsVouchedForAndSentBackWithAProof(t *testing.T) {
	l, p := pairingRig(t)
	resp, _ := l.get(t, http.MethodGet, "/pair?browser="+hashA+"&state="+p.state.Reveal(), nil)
	location, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("got %s, %v", resp.Status, err)
	}
	proof := location.Query().Get("proof")
	if got := strings.TrimSuffix(location.String(), proof); got != "https://oauth.example.com/authorize/uid?proof=" {
		t.Errorf("the browser is sent to %s", got)
	}
	if len(proof) != 43 {
		t.Errorf("the proof has %d characters, not 32 bytes", len(proof))
	}
	want := []v1alpha1.PairedBrowser{{Hash: hashA, ProofHash: oauth.NewSecret(proof).Hash()}}
	if diff := cmp.Diff(want, l.vouched()); diff != "" {
		t.Error(diff)
	}
}

func TestAReloadOfThePairingGetsTheSameAnswerAndASecondBrowserDoesNot(t *testing.T) {
	l, p := pairingRig(t)
	target := "/pair?state=" + p.state.Reveal() + "&browser="
	first, _ := l.get(t, http.MethodGet, target+hashA, nil)
	again, _ := l.get(t, http.MethodGet, target+hashA, nil)
	if first.Header.Get("Location") != again.Header.Get("Location") {
		t.Error("a reload gets another answer")
	}
	other, page := l.get(t, http.MethodGet, target+hashB, nil)
	if other.StatusCode != http.StatusConflict || other.Header.Get("Location") != "" || !strings.Contains(page, "Another browser came first") {
		t.Errorf("a second browser gets %s: %s", other.Status, page)
	}
	if got := l.vouched(); len(got) != 1 || got[0].Hash != hashA {
		t.Errorf("vouched for %v", got)
	}
}

func TestAPairingThatTheClusterDidNotTakeCanBeTriedAgain(t *testing.T) {
	l, p := pairingRig(t)
	target := "/pair?browser=" + hashA + "&state=" + p.state.Reveal()
	l.refuse = errors.New("no route to " + p.state.Reveal())
	failed, page := l.get(t, http.MethodGet, target, nil)
	if failed.StatusCode != http.StatusBadGateway || !strings.Contains(page, "Reload this page") || strings.Contains(page, p.state.Reveal()) {
		t.Errorf("got %s: %s", failed.Status, page)
	}
	l.refuse = nil
	if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after a reload: %s", resp.Status)
	}
}

func TestStrayRequestsToThePairingGetA404AndChangeNothing(t *testing.T) {
	l, p := pairingRig(t)
	n := p.state.Reveal()
	good := "browser=" + hashA + "&state=" + n
	_, port, _ := net.SplitHostPort(l.host)
	for name, stray := range map[string]struct {
		method, target string
		host           string
	}{
		"POST":                       {http.MethodPost, "/pair?" + good, ""},
		"HEAD":                       {http.MethodHead, "/pair?" + good, ""},
		"OPTIONS":                    {http.MethodOptions, "/pair?" + good, ""},
		"a name rebound to us":       {http.MethodGet, "/pair?" + good, "evil.example.com:" + port},
		"a host without port":        {http.MethodGet, "/pair?" + good, "127.0.0.1"},
		"another port":               {http.MethodGet, "/pair?" + good, "127.0.0.1:1"},
		"localhost":                  {http.MethodGet, "/pair?" + good, "localhost:" + port},
		"another form of the IP":     {http.MethodGet, "/pair?" + good, "127.1:" + port},
		"a host with a dot":          {http.MethodGet, "/pair?" + good, "127.0.0.1.:" + port},
		"no state":                   {http.MethodGet, "/pair?browser=" + hashA, ""},
		"an empty state":             {http.MethodGet, "/pair?state=&browser=" + hashA, ""},
		"a wrong state":              {http.MethodGet, "/pair?state=" + n[1:] + "x&browser=" + hashA, ""},
		"a prefix of the state":      {http.MethodGet, "/pair?state=" + n[:42] + "&browser=" + hashA, ""},
		"the state and more":         {http.MethodGet, "/pair?state=" + n + "%00&browser=" + hashA, ""},
		"the state twice":            {http.MethodGet, "/pair?" + good + "&state=" + n, ""},
		"two states":                 {http.MethodGet, "/pair?state=x&" + good, ""},
		"two browsers":               {http.MethodGet, "/pair?" + good + "&browser=" + hashB, ""},
		"a hash that is none":        {http.MethodGet, "/pair?state=" + n + "&browser=" + strings.Repeat("0g", 32), ""},
		"a hash in capitals":         {http.MethodGet, "/pair?state=" + n + "&browser=" + strings.Repeat("0A", 32), ""},
		"a short hash":               {http.MethodGet, "/pair?state=" + n + "&browser=" + hashA[1:], ""},
		"a hash and a line":          {http.MethodGet, "/pair?state=" + n + "&browser=" + hashA + "%0a", ""},
		"markup":                     {http.MethodGet, "/pair?state=" + n + "&browser=<script>alert(1)</script>", ""},
		"another parameter":          {http.MethodGet, "/pair?" + good + "&next=https://evil.example.com", ""},
		"a semicolon":                {http.MethodGet, "/pair?" + good + ";x=1", ""},
		"a broken escape":            {http.MethodGet, "/pair?" + good + "&x=%zz", ""},
		"the root":                   {http.MethodGet, "/?" + good, ""},
		"a slash more":               {http.MethodGet, "/pair/?" + good, ""},
		"two slashes":                {http.MethodGet, "//pair?" + good, ""},
		"an escaped letter":          {http.MethodGet, "/pai%72?" + good, ""},
		"capitals":                   {http.MethodGet, "/PAIR?" + good, ""},
		"dots":                       {http.MethodGet, "/callback/../pair?" + good, ""},
		"escaped dots":               {http.MethodGet, "/x/%2e%2e/pair?" + good, ""},
		"path traversal":             {http.MethodGet, "/../../etc/passwd", ""},
		"the other flow's path":      {http.MethodGet, "/callback/ns/team/github?code=x&state=" + n, ""},
		"what browsers ask by habit": {http.MethodGet, "/favicon.ico", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var header http.Header
			if stray.host != "" {
				header = http.Header{"Host": {stray.host}}
			}
			resp, body := l.get(t, stray.method, stray.target, header)
			if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Location") != "" {
				t.Errorf("got %s", resp.Status)
			}
			if strings.Contains(body, hashA) || strings.Contains(body, n) || strings.Contains(body, "alert") {
				t.Errorf("the page repeats the request: %s", body)
			}
		})
	}
	if got := l.vouched(); len(got) != 0 {
		t.Errorf("vouched for %v", got)
	}
	if resp, _ := l.get(t, http.MethodGet, "/pair?"+good, nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("after all of them, the good one gets %s", resp.Status)
	}
}

func TestRequestsThatAreNoHTTPOrTooLargeAreRefused(t *testing.T) {
	l, p := pairingRig(t)
	target := "/pair?browser=" + hashA + "&state=" + p.state.Reveal()
	for name, tc := range map[string]struct{ request, want string }{
		"headers without end":   {"GET " + target + " HTTP/1.1\r\nHost: " + l.host + "\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "431"},
		"no Host":               {"GET " + target + " HTTP/1.1\r\n\r\n", "400"},
		"no Host, as of old":    {"GET " + target + " HTTP/1.0\r\n\r\n", "404"},
		"two Hosts":             {"GET " + target + " HTTP/1.1\r\nHost: " + l.host + "\r\nHost: evil.example.com\r\n\r\n", "400"},
		"another absolute form": {"GET http://evil.example.com" + target + " HTTP/1.1\r\nHost: " + l.host + "\r\n\r\n", "404"},
		"CONNECT":               {"CONNECT evil.example.com:443 HTTP/1.1\r\nHost: " + l.host + "\r\n\r\n", "404"},
		"noise":                 {"\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.raw(t, tc.request); !strings.HasPrefix(got, "HTTP/1.") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %s", got, tc.want)
			}
		})
	}
	if got := l.vouched(); len(got) != 0 {
		t.Errorf("vouched for %v", got)
	}
}

func TestOfManyBrowsersAtOnceOneIsVouchedFor(t *testing.T) {
	l, p := pairingRig(t)
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			l.get(t, http.MethodGet, fmt.Sprintf("/pair?state=%s&browser=%064x", p.state.Reveal(), i), nil)
		})
	}
	wait.Wait()
	if got := l.vouched(); len(got) != 1 {
		t.Errorf("vouched for %d", len(got))
	}
}

func TestPagesOfThisMachineRunNothingAndAreKeptNowhere(t *testing.T) {
	l, p := pairingRig(t)
	for _, target := range []string{"/", "/pair?browser=" + hashA + "&state=" + p.state.Reveal()} {
		resp, body := l.get(t, http.MethodGet, target, nil)
		for name, want := range map[string]string{
			"Cache-Control":          "no-store",
			"Referrer-Policy":        "no-referrer",
			"X-Content-Type-Options": "nosniff",
			"X-Frame-Options":        "DENY",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: %s", target, policy)
		}
		if strings.Contains(body, "<script") || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %s", target, body)
		}
	}
}

func TestAProvidersResponseIsHandedOverAndTheBrowserLearnsWhatBecameOfIt(t *testing.T) {
	for name, tc := range map[string]struct {
		query string
		want  v1alpha1.AuthorizationResponse
	}{
		"a code":                 {"code=abc%2F1&iss=https%3A%2F%2Fidp.example.com", v1alpha1.AuthorizationResponse{Code: "abc/1", Issuer: "https://idp.example.com"}},
		"an error":               {"error=access_denied&error_description=<b>no</b>", v1alpha1.AuthorizationResponse{Error: "access_denied"}},
		"parameters besides":     {"code=c&scope=a&scope=b&session_state=x", v1alpha1.AuthorizationResponse{Code: "c", Parameters: map[string]string{"session_state": "x"}}},
		"an error that is none":  {"error=%22%1b[31m", v1alpha1.AuthorizationResponse{Error: "server_error"}},
		"an error without limit": {"error=" + strings.Repeat("e", 200), v1alpha1.AuthorizationResponse{Error: "server_error"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := responseRig(t)
			r.outcome.tell(connectedPage)
			target := "/callback/ns/team/github?state=" + r.state.Reveal() + "&" + tc.query
			for range 2 { // the second is a reload
				resp, page := l.get(t, http.MethodGet, target, nil)
				if resp.StatusCode != http.StatusOK || !strings.Contains(page, connectedPage.title) || strings.Contains(page, "<b>") {
					t.Errorf("got %s: %s", resp.Status, page)
				}
			}
			if diff := cmp.Diff([]v1alpha1.AuthorizationResponse{tc.want}, l.handed()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheBrowserIsHeldUntilTheOutcomeIsKnown(t *testing.T) {
	l, r := responseRig(t)
	pages := make(chan string)
	go func() {
		_, page := l.get(t, http.MethodGet, "/callback/ns/team/github?code=c&state="+r.state.Reveal(), nil)
		pages <- page
	}()
	eventually(t, "the response", func() bool { return len(l.handed()) == 1 })
	select {
	case page := <-pages:
		t.Fatalf("the browser was not held: %s", page)
	default:
	}
	r.outcome.tell(notConnectedPage)
	if page := <-pages; !strings.Contains(page, notConnectedPage.title) {
		t.Error(page)
	}
}

func TestASecondResponseWithTheSameStateIsNotHandedOver(t *testing.T) {
	l, r := responseRig(t)
	r.outcome.tell(connectedPage)
	target := "/callback/ns/team/github?state=" + r.state.Reveal()
	l.get(t, http.MethodGet, target+"&code=first", nil)
	resp, page := l.get(t, http.MethodGet, target+"&code=second", nil)
	if resp.StatusCode != http.StatusConflict || !strings.Contains(page, otherResponsePage.title) {
		t.Errorf("got %s: %s", resp.Status, page)
	}
	if got := l.handed(); len(got) != 1 || got[0].Code != "first" {
		t.Errorf("handed over: %v", got)
	}
}

func TestAResponseThatTheClusterDidNotTakeCanBeTriedAgain(t *testing.T) {
	l, r := responseRig(t)
	r.outcome.tell(connectedPage)
	l.refuse = errors.New("down")
	target := "/callback/ns/team/github?code=c&state=" + r.state.Reveal()
	if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", resp.Status)
	}
	l.refuse = nil
	if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusOK || len(l.handed()) != 1 {
		t.Errorf("after a reload: %s, handed over %v", resp.Status, l.handed())
	}
}

func TestStrayResponsesGetA404AndChangeNothing(t *testing.T) {
	l, r := responseRig(t)
	r.outcome.tell(connectedPage)
	n := r.state.Reveal()
	const path = "/callback/ns/team/github"
	for name, target := range map[string]string{
		"no state":                   path + "?code=c",
		"a wrong state":              path + "?code=c&state=" + n[1:] + "x",
		"the state twice":            path + "?code=c&state=" + n + "&state=" + n,
		"the code twice":             path + "?code=c&code=d&state=" + n,
		"the same code twice":        path + "?code=c&code=c&state=" + n,
		"iss twice":                  path + "?code=c&iss=a&iss=b&state=" + n,
		"the error twice":            path + "?error=a&error=b&state=" + n,
		"code and error":             path + "?code=c&error=access_denied&state=" + n,
		"code and an empty error":    path + "?code=c&error=&state=" + n,
		"neither":                    path + "?state=" + n,
		"an empty code":              path + "?code=&state=" + n,
		"an empty error":             path + "?error=&state=" + n,
		"a code without end":         path + "?code=" + strings.Repeat("c", 8193) + "&state=" + n,
		"an issuer without end":      path + "?code=c&iss=" + strings.Repeat("i", 2049) + "&state=" + n,
		"another connection's path":  "/callback/ns/team/gitlab?code=c&state=" + n,
		"a slash more":               path + "/?code=c&state=" + n,
		"an escaped slash":           "/callback/ns/team%2Fgithub?code=c&state=" + n,
		"path traversal":             "/callback/ns/team/x/../github?code=c&state=" + n,
		"the other flow's path":      "/pair?browser=" + hashA + "&state=" + n,
		"what browsers ask by habit": "/favicon.ico",
	} {
		t.Run(name, func(t *testing.T) {
			if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("got %s", resp.Status)
			}
		})
	}
	if resp, _ := l.get(t, http.MethodPost, path+"?code=c&state="+n, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a POST gets %s", resp.Status)
	}
	if got := l.handed(); len(got) != 0 {
		t.Errorf("handed over: %v", got)
	}
	if resp, _ := l.get(t, http.MethodGet, path+"?code=c&state="+n, nil); resp.StatusCode != http.StatusOK {
		t.Errorf("after all of them, the good one gets %s", resp.Status)
	}
}

func TestOnlyAuthorizationRequestsForThisListenerAreOpened(t *testing.T) {
	const host = "127.0.0.1:8000"
	back := func(uri string) string {
		return "https://idp.example.com/auth?client_id=x&redirect_uri=" + url.QueryEscape(uri)
	}
	r, path, err := newResponse(back("http://127.0.0.1:8000/callback/cluster/github"), host)
	if err != nil || path != "/callback/cluster/github" {
		t.Fatalf("got %q, %v", path, err)
	}
	if got, want := r.address(), r.authorize+"&state="+r.state.Reveal(); got != want {
		t.Errorf("got %s", got)
	}
	for name, address := range map[string]string{
		"another port":           back("http://127.0.0.1:8001/callback/cluster/github"),
		"another host":           back("http://evil.example.com/callback/cluster/github"),
		"a user in front":        back("http://127.0.0.1:8000@evil.example.com/callback/x"),
		"another path":           back("http://127.0.0.1:8000/pair"),
		"a query":                back("http://127.0.0.1:8000/callback/x?a=b"),
		"no redirect URI":        "https://idp.example.com/auth?client_id=x",
		"two of them":            back("http://127.0.0.1:8000/callback/x") + "&redirect_uri=http://evil.example.com",
		"a state already":        back("http://127.0.0.1:8000/callback/x") + "&state=x",
		"a fragment":             back("http://127.0.0.1:8000/callback/x") + "#x",
		"a file":                 "file:///etc/passwd?redirect_uri=" + url.QueryEscape("http://127.0.0.1:8000/callback/x"),
		"a script":               "javascript:alert(1)",
		"a flag of the program":  "--version",
		"a terminal's sequences": back("http://127.0.0.1:8000/callback/x") + "\u009b31m",
	} {
		if _, _, err := newResponse(address, host); !errors.Is(err, error(errUnknownAddress)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOnlyPlainWebAddressesAreOpenedForPairing(t *testing.T) {
	for _, start := range []string{"", "/authorize/x", "https://", "ftp://host/x", "https://user:pw@host/x", "https://host/x?a=b", "https://host/x?", "https://host/x#y", "https://host/ x", "https://host/\x1b[2J"} {
		if _, err := newPairing(start); !errors.Is(err, error(errUnknownAddress)) {
			t.Errorf("%q: got %v", start, err)
		}
	}
}

func TestTheListenerAnswersUnderItsOwnAddressWithoutIPv4(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	l := &localRig{}
	p, err := newPairing("https://oauth.example.com/authorize/uid")
	if err != nil {
		t.Fatal(err)
	}
	p.vouch, l.host = l.vouch, listener.Addr().String()
	t.Cleanup(serveLoopback(listener, &loopback{host: l.host, path: pairPath, arrive: p.arrive}))
	if got := loopbackOf(listener); got.Address != "::1" {
		t.Errorf("got %v", got)
	}
	target := "/pair?browser=" + hashA + "&state=" + p.state.Reveal()
	if resp, _ := l.get(t, http.MethodGet, target, http.Header{"Host": {"127.0.0.1:" + l.host[6:]}}); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another address gets %s", resp.Status)
	}
	if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("got %s", resp.Status)
	}
}

func TestATakenPortIsSaidWithTheWayOut(t *testing.T) {
	listener, err := listenLoopback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := int(loopbackOf(listener).Port)
	_, err = listenLoopback(t.Context(), port)
	want := fmt.Sprintf("port %d of 127.0.0.1 is taken by another program: choose another --port, or leave it out for any that is free", port)
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestTheListenerIsReachedFromThisMachineOnly(t *testing.T) {
	listener, err := listenLoopback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := loopbackOf(listener)
	if ip := net.ParseIP(got.Address); !ip.IsLoopback() || got.Port == 0 {
		t.Errorf("got %v", got)
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
