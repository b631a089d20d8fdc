// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// plugin does what kubectl oauth connect does, for one attempt.
type plugin struct {
	rig     *rig
	attempt *v1alpha1.OAuthAuthorization
	// start is the address that is opened in a browser.
	start string
	proof string

	mu  sync.Mutex
	met []string // the hashes of the browsers that came
}

func (r *rig) plugin(t *testing.T, conn *v1alpha1.OAuthConnection) *plugin {
	t.Helper()
	p := &plugin{rig: r, proof: oauth.Random()}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { p.serve(t, w, req) }))
	t.Cleanup(listener.Close)
	at, _ := url.Parse(listener.URL)
	port, _ := strconv.Atoi(at.Port())
	p.attempt = r.attempt(t, conn, v1alpha1.OAuthAuthorizationSpec{
		Method: v1alpha1.PairingLoopback, Loopback: &v1alpha1.Loopback{Port: int32(port)},
	})
	p.start = r.address(p.attempt) + "?state=" + oauth.Random()
	return p
}

// serve is kubectl oauth's /pair.
func (p *plugin) serve(t *testing.T, w http.ResponseWriter, req *http.Request) {
	hash := req.URL.Query().Get("browser")
	if req.URL.Path != "/pair" || req.URL.Query().Get("state") == "" {
		http.NotFound(w, req)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met = append(p.met, hash)
	if len(p.met) == 1 {
		p.rig.pairWith(t, p.attempt, &v1alpha1.PairedBrowser{Hash: hash, ProofHash: oauth.NewSecret(p.proof).Hash()})
	}
	http.Redirect(w, req, p.rig.address(p.attempt)+"?proof="+p.proof, http.StatusSeeOther)
}

// attempt creates an attempt and admits it, as the reconciler does.
func (r *rig) attempt(t *testing.T, conn *v1alpha1.OAuthConnection, spec v1alpha1.OAuthAuthorizationSpec) *v1alpha1.OAuthAuthorization {
	t.Helper()
	spec.Connection, spec.Requester = conn.Name, "jane"
	attempt := &v1alpha1.OAuthAuthorization{ObjectMeta: metav1.ObjectMeta{Namespace: conn.Namespace, GenerateName: conn.Name + "-"}, Spec: spec}
	if err := env.Client.Create(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	if err := r.Admit(t.Context(), attempt, r.address(attempt), nil); err != nil {
		t.Fatal(err)
	}
	return attempt
}

func (r *rig) address(attempt *v1alpha1.OAuthAuthorization) string {
	return r.PublicURL + "/authorize/" + attempt.Namespace + "/" + attempt.Name
}

func (r *rig) pairWith(t *testing.T, attempt *v1alpha1.OAuthAuthorization, browser *v1alpha1.PairedBrowser) {
	t.Helper()
	patched := attempt.DeepCopy()
	patched.Spec.Browser = browser
	if err := env.Client.Patch(t.Context(), patched, client.MergeFrom(attempt)); err != nil {
		t.Error(err)
	}
}

func TestAPairedBrowserConnectsAnAccount(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	b := &idp.Browser{}
	consent := open(t, b, p.start)
	for _, words := range []string{"jane", r.conn.Namespace, "github", "Only go on if you or your team asked for this"} {
		if !strings.Contains(consent.Body, words) {
			t.Errorf("the consent page does not say %q: %s", words, consent.Body)
		}
	}
	if r.idp.Count(idp.Authorize) != 0 {
		t.Error("the provider was asked before the person agreed")
	}
	page, err := b.Connect(t.Context(), p.start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
	attempts := r.attempts(t)
	if len(attempts) != 1 || attempts[0].UID != p.attempt.UID || attempts[0].Status.Account != "alice@example.com" || !connect.Completed(&attempts[0]) {
		t.Errorf("attempts: %+v", attempts)
	}
	if record := r.record(t, r.conn); record == nil || record.Authorization != p.attempt.UID {
		t.Errorf("stored: %+v", record)
	}
	expect(t, open(t, b, p.start), connect.AlreadyUsed)
}

func TestAnotherBrowserWithTheStartAddressGetsNowhere(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	victim, attacker := &idp.Browser{}, &idp.Browser{}
	// Another machine: the loopback address is its own.
	attacker.Until = func(next *url.URL) bool { return next.Path == "/pair" }
	at := open(t, attacker, p.start)
	to, _ := url.Parse(at.Header.Get("Location"))
	if to.Hostname() != "127.0.0.1" || to.Port() != strconv.Itoa(int(p.attempt.Spec.Loopback.Port)) {
		t.Fatalf("sent to %s", to)
	}
	attacker.Until = nil
	// The victim's browser pairs; from then on it is the only one.
	if consent := open(t, victim, p.start); len(consent.Forms) != 1 {
		t.Fatalf("the first browser is shown %s", consent.Body)
	}
	for name, address := range map[string]string{
		"the start address":     p.start,
		"with a proof made up":  r.address(p.attempt) + "?proof=" + oauth.Random(),
		"with the proof leaked": r.address(p.attempt) + "?proof=" + p.proof,
		"without anything":      r.address(p.attempt),
	} {
		page := open(t, attacker, address)
		t.Run(name, func(t *testing.T) { expect(t, page, otherBrowser) })
	}
	if r.idp.Count(idp.Authorize) != 0 {
		t.Error("the provider was asked")
	}
	r.expectUntouched(t)
}

// The attacker knows state and port, and has a cookie of the attempt; the victim is sent by a link to
// their own loopback address with the attacker's hash. Neither browser gets any further.
func TestALuredBrowserDoesNotPairTheAttackers(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	victim, attacker := &idp.Browser{}, &idp.Browser{}
	attacker.Until = func(next *url.URL) bool { return next.Path == "/pair" }
	lure := open(t, attacker, p.start).Header.Get("Location")
	page := open(t, victim, lure)
	if len(page.Forms) != 0 {
		t.Errorf("the victim is asked: %s", page.Body)
	}
	expect(t, page, otherBrowser)
	if page := open(t, attacker, p.start); !strings.HasPrefix(page.Header.Get("Location"), "http://127.0.0.1:") {
		t.Errorf("the attacker's browser is shown %s", page.Body)
	}
	expect(t, open(t, attacker, r.address(p.attempt)+"?proof="+oauth.Random()), otherBrowser)
	expect(t, open(t, attacker, r.address(p.attempt)), noAttempt)
	if r.idp.Count(idp.Authorize) != 0 {
		t.Error("the provider was asked")
	}
	r.expectUntouched(t)
}

func TestAnotherBrowserWithTheProvidersAddressGetsNowhere(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	first, second := &idp.Browser{}, &idp.Browser{}
	first.Until = func(next *url.URL) bool { return strings.HasPrefix(next.String(), r.idp.Issuer()) }
	consent := open(t, first, p.start)
	page, err := consent.Submit(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := page.Header.Get("Location")
	page, err = second.Connect(t.Context(), raw, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, unknownFlow)
	r.expectUntouched(t)
}

func TestTheCodePairsTheBrowserThatShowsIt(t *testing.T) {
	r := newRig(t)
	attempt := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
	b, other := &idp.Browser{}, &idp.Browser{}
	shown := regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`)
	page := open(t, b, r.address(attempt))
	code := shown.FindString(page.Body)
	if code == "" || shown.FindString(open(t, other, r.address(attempt)).Body) == code {
		t.Fatalf("the page shows %q: %s", code, page.Body)
	}
	if again := open(t, b, r.address(attempt)); shown.FindString(again.Body) != code {
		t.Error("the code changes when the page is loaded again")
	}
	r.pairWith(t, attempt, &v1alpha1.PairedBrowser{Code: code})
	if body := open(t, other, r.address(attempt)).Body; !strings.Contains(body, "Another code was typed") {
		t.Errorf("another browser is shown %s", body)
	}
	page, err := page.Submit(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Forms) != 1 || page.Forms[0].Method != http.MethodPost {
		t.Fatalf("after the code was typed: %s", page.Body)
	}
	page, err = b.Connect(t.Context(), r.address(attempt), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
}

func TestACodesCookieIsGoodForItsAttemptOnly(t *testing.T) {
	r := newRig(t)
	first := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
	second := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
	b := &idp.Browser{}
	code := regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`).FindString(open(t, b, r.address(first)).Body)
	r.pairWith(t, second, &v1alpha1.PairedBrowser{Code: code})
	cookie := b.Cookies(r.PublicURL)[0]
	_, body := send(t, http.MethodGet, r.address(second), "", nil, &http.Cookie{Name: browserCookie + string(second.UID), Value: cookie.Value})
	if !strings.Contains(body, "Another code was typed") {
		t.Errorf("a cookie of another attempt shows %s", body)
	}
	resp, _ := send(t, http.MethodPost, r.address(second), "", nil, &http.Cookie{Name: browserCookie + string(second.UID), Value: cookie.Value})
	if resp.StatusCode != wordsOf(otherBrowser).Status {
		t.Errorf("status %d", resp.StatusCode)
	}
	r.expectUntouched(t)
}

func TestAPairedBrowserStartsByItsFormOnly(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	b := &idp.Browser{}
	form := open(t, b, p.start).Forms[0].Fields.Encode()
	cookie := b.Cookies(r.PublicURL)[0]
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, row := range map[string]struct {
		query, form string
		cookie      *http.Cookie
	}{
		"no proof":             {"", "", cookie},
		"a proof of another":   {"", "proof=" + oauth.Random(), cookie},
		"proof in the address": {"?proof=" + p.proof, "", cookie},
		"no cookie":            {"", form, &http.Cookie{Name: "other", Value: "x"}},
		"a cookie made up":     {"", form, &http.Cookie{Name: cookie.Name, Value: cookie.Value[:10] + "AAAA" + cookie.Value[14:]}},
	} {
		resp, _ := send(t, http.MethodPost, r.address(p.attempt)+row.query, row.form, header, row.cookie)
		if resp.StatusCode != wordsOf(otherBrowser).Status {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	crossSite := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	if resp, _ := send(t, http.MethodPost, r.address(p.attempt), form, crossSite, cookie); resp.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: status %d", resp.StatusCode)
	}
	r.expectUntouched(t)
	resp, _ := send(t, http.MethodPost, r.address(p.attempt), form, header, cookie)
	if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), r.idp.Issuer()) {
		t.Errorf("our own form: status %d, Location %s", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestAYesToSomethingElseThanWasShownIsRefused(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.OAuthConnection){
		"scopes": func(c *v1alpha1.OAuthConnection) { c.Spec.Scopes = append(c.Spec.Scopes, "phone") },
		"Secret": func(c *v1alpha1.OAuthConnection) { c.Spec.Secret.Name = "other" },
		"client": func(c *v1alpha1.OAuthConnection) { c.Spec.Client.ID = "another" },
		"parameters": func(c *v1alpha1.OAuthConnection) {
			c.Spec.AuthorizationParams = map[string]string{"hd": "evil.example"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			b := &idp.Browser{}
			byPlugin, byLink := open(t, b, r.plugin(t, r.conn).start), open(t, b, r.start(t, r.conn))
			attempts := len(r.attempts(t))
			r.update(t, change)
			for _, consent := range []*idp.Page{byPlugin, byLink} {
				page, err := consent.Submit(t.Context(), "", nil)
				if err != nil {
					t.Fatal(err)
				}
				expect(t, page, connect.ClientChanged)
			}
			if n := len(r.attempts(t)); n != attempts || r.idp.Count(idp.Authorize) != 0 {
				t.Errorf("%d attempts, want %d", n, attempts)
			}
		})
	}
}

func TestAttemptsThatNobodyCanTakePartInSaySo(t *testing.T) {
	r := newRig(t)
	loopback := v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingLoopback, Loopback: &v1alpha1.Loopback{Port: 1}}
	state := "?state=" + oauth.Random()
	byLink := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingLink})
	denied := r.attempt(t, r.conn, loopback)
	if err := r.Complete(t.Context(), denied, &connect.Result{Verdict: connect.Denied}); err != nil {
		t.Fatal(err)
	}
	unadmitted := r.attempt(t, r.conn, loopback)
	unadmitted.Status = v1alpha1.OAuthAuthorizationStatus{}
	if err := env.Client.Status().Update(t.Context(), unadmitted); err != nil {
		t.Fatal(err)
	}
	fine := r.attempt(t, r.conn, loopback)
	for name, row := range map[string]struct {
		address string
		want    notice
	}{
		"unknown":          {r.PublicURL + "/authorize/" + r.conn.Namespace + "/missing" + state, noAttempt},
		"of Link mode":     {r.address(byLink) + state, noAttempt},
		"not admitted yet": {r.address(unadmitted) + state, noAttempt},
		"ended":            {r.address(denied) + state, connect.AlreadyUsed},
		"no state":         {r.address(fine), noAttempt},
		"an empty state":   {r.address(fine) + "?state=", noAttempt},
		"a short state":    {r.address(fine) + "?state=abc", noAttempt},
		"an odd state":     {r.address(fine) + "?state=" + url.QueryEscape(strings.Repeat("a", 41)+"\r\n"), noAttempt},
	} {
		page := open(t, &idp.Browser{}, row.address)
		t.Run(name, func(t *testing.T) { expect(t, page, row.want) })
	}
	r.clock.SetTime(r.clock.Now().Add(connect.Lifetime))
	expect(t, open(t, &idp.Browser{}, r.address(fine)+state), connect.FlowExpired)
	r.clock.SetTime(r.clock.Now().Add(-connect.Lifetime))
	r.Modes.Pairing = false
	expect(t, open(t, &idp.Browser{}, r.address(fine)+state), noAttempt)
	r.expectUntouched(t)
}

func TestAConnectionThatReturnsToThePluginIsNotConnectedByPages(t *testing.T) {
	r := newRig(t)
	r.update(t, func(c *v1alpha1.OAuthConnection) { c.Spec.Redirect = v1alpha1.RedirectLoopback })
	expect(t, open(t, &idp.Browser{}, r.start(t, r.conn)), connect.PluginNeeded)
	expect(t, open(t, &idp.Browser{}, r.plugin(t, r.conn).start), connect.PluginNeeded)
	r.expectUntouched(t)
}

func TestAnotherAccountThanExpectedIsNotStored(t *testing.T) {
	r := newRig(t)
	r.update(t, func(c *v1alpha1.OAuthConnection) { c.Spec.ExpectedAccount = "bob@example.com" })
	p := r.plugin(t, r.conn)
	b := &idp.Browser{}
	if consent := open(t, b, p.start); !strings.Contains(consent.Body, "<strong>bob@example.com</strong>, and no other") {
		t.Errorf("the consent page does not say who is expected: %s", consent.Body)
	}
	page, err := b.Connect(t.Context(), p.start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.AccountNotExpected)
	for _, words := range []string{"alice@example.com", "bob@example.com"} {
		if !strings.Contains(page.Body, words) {
			t.Errorf("the page does not name %s", words)
		}
	}
	if r.record(t, r.conn) != nil {
		t.Error("a record is stored")
	}
	completed := meta.FindStatusCondition(r.attempts(t)[0].Status.Conditions, v1alpha1.CompletedCondition)
	if completed == nil || completed.Reason != v1alpha1.ReasonAccountNotExpected ||
		completed.Message != "account alice@example.com consented, and spec.expectedAccount is bob@example.com" {
		t.Errorf("the attempt says %+v", completed)
	}
}

func TestTheExpectedAccountIsStored(t *testing.T) {
	r := newRig(t)
	r.update(t, func(c *v1alpha1.OAuthConnection) { c.Spec.ExpectedAccount = "alice@example.com" })
	page, err := (&idp.Browser{}).Connect(t.Context(), r.plugin(t, r.conn).start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
}

func TestAnAccountWithoutANameIsNotTheExpectedOne(t *testing.T) {
	r := newRig(t)
	r.update(t, func(c *v1alpha1.OAuthConnection) {
		c.Spec.ExpectedAccount = "alice@example.com"
		c.Spec.Provider.Account = "body.missing"
	})
	page, err := (&idp.Browser{}).Connect(t.Context(), r.plugin(t, r.conn).start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.AccountUnknown)
	if r.record(t, r.conn) != nil {
		t.Error("a record is stored")
	}
}

func TestAPairingIsGoodForTenMinutesInAll(t *testing.T) {
	r := newRig(t)
	p := r.plugin(t, r.conn)
	b := &idp.Browser{Until: func(next *url.URL) bool { return strings.HasPrefix(next.Path, "/callback/") }}
	r.clock.SetTime(r.clock.Now().Add(connect.Lifetime - time.Minute))
	page, err := b.Connect(t.Context(), p.start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	b.Until = nil
	r.clock.SetTime(r.clock.Now().Add(time.Minute))
	expect(t, open(t, b, page.Header.Get("Location")), connect.FlowExpired)
	r.expectUntouched(t)
}
