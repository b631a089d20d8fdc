// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/signin"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// company is where people sign in to the operator's pages: another provider than the connection's.
func company() []idp.User {
	return []idp.User{
		{Name: "jane", Password: "jane", Email: "jane@company.example", Claims: map[string]any{"groups": []string{"platform"}}},
		{Name: "joe", Password: "joe", Email: "joe@company.example", Claims: map[string]any{"groups": []string{"sales"}}},
		{Name: "root", Password: "root", Email: "root@company.example", Claims: map[string]any{"groups": []string{"system:masters"}}},
	}
}

// signInRig is a rig whose pages let people in by signing in. jane may connect accounts in the
// connection's namespace; so may the group sales where groupMay is set.
func signInRig(t *testing.T, groupMay bool) (*rig, *idp.Provider) {
	t.Helper()
	r := newRig(t)
	p, err := idp.New(idp.Options{
		Users:   company(),
		Clients: []idp.Client{{ID: "operator", Secret: "operator-secret", RedirectURIs: []string{r.PublicURL + signin.CallbackPath}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if err := env.Apply(t.Context(), "config/signin"); err != nil {
		t.Fatal(err)
	}
	policy := egress.Policy{AllowHTTP: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	provider, err := signin.New(signin.Config{
		Issuer: p.Issuer(), ClientID: "operator", RedirectURI: r.PublicURL + signin.CallbackPath,
		ClientSecret:  func(context.Context) (oauth.Secret, error) { return oauth.NewSecret("operator-secret"), nil },
		UsernameClaim: "email", GroupsClaim: "groups", GroupsPrefix: "company:",
	}, egress.NewClient(policy), r.Keyring, r.clock)
	if err != nil {
		t.Fatal(err)
	}
	r.SignIn = &SignIn{Provider: provider, Reviewer: &signin.Reviewer{Client: r.Client}}
	r.Modes = connect.Modes{SignIn: true}
	subject := rbacv1.Subject{Kind: "User", Name: "jane@company.example", APIGroup: rbacv1.GroupName}
	if groupMay {
		subject = rbacv1.Subject{Kind: "Group", Name: "company:sales", APIGroup: rbacv1.GroupName}
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.conn.Namespace, Name: "edit"},
		Subjects:   []rbacv1.Subject{subject},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "oauth-operator-edit"},
	}
	if err := env.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	return r, p
}

func (r *rig) page() string { return r.PublicURL + "/connect/" + r.conn.Namespace + "/github" }

// signIn walks a browser to the connection's page, again where the API server has not yet heard of a role.
func (r *rig) signIn(t *testing.T, b *idp.Browser, name string, want func(*idp.Page) bool) *idp.Page {
	t.Helper()
	var page *idp.Page
	for range 100 {
		page = open(t, b, r.page())
		for len(page.Forms) == 1 && page.Forms[0].Action.Host != hostOf(r.PublicURL) {
			var err error
			if page, err = page.Submit(t.Context(), "", url.Values{"username": {name}, "password": {name}}); err != nil {
				t.Fatal(err)
			}
		}
		if want(page) {
			return page
		}
	}
	t.Fatalf("%s ends at %s with status %d: %s", name, page.URL.Redacted(), page.Status, page.Body)
	return nil
}

func hostOf(address string) string {
	u, _ := url.Parse(address)
	return u.Host
}

func asks(page *idp.Page) bool { return len(page.Forms) == 1 }
func refuses(page *idp.Page) bool {
	return strings.Contains(page.Body, wordsOf(mayNotConnect).Title)
}

func TestWhoMayConnectSignsInAndConnects(t *testing.T) {
	for name, groupMay := range map[string]bool{"jane": false, "joe": true} {
		t.Run(name, func(t *testing.T) {
			r, _ := signInRig(t, groupMay)
			b := &idp.Browser{}
			consent := r.signIn(t, b, name, asks)
			if !strings.Contains(consent.Body, "<dt>Signed in as</dt><dd>") || !strings.Contains(consent.Body, name+"@company.example") {
				t.Errorf("the consent page does not say who is signed in: %s", consent.Body)
			}
			page, err := b.Connect(t.Context(), r.page(), idp.DefaultUser())
			if err != nil {
				t.Fatal(err)
			}
			expect(t, page, connect.Connected)
			attempt := r.attempts(t)[0]
			if attempt.Spec.Method != v1alpha1.PairingSignIn || attempt.Spec.Requester != name+"@company.example" {
				t.Errorf("attempt: %+v", attempt.Spec)
			}
		})
	}
}

func TestWhoMayNotConnectIsToldTheRole(t *testing.T) {
	for name, groupMay := range map[string]bool{"joe": false, "jane": true, "root": false} {
		t.Run(name, func(t *testing.T) {
			r, _ := signInRig(t, groupMay)
			b := &idp.Browser{}
			page := r.signIn(t, b, name, refuses)
			expect(t, page, mayNotConnect)
			for _, words := range []string{name + "@company.example", "kubectl -n " + r.conn.Namespace + " create rolebinding"} {
				if !strings.Contains(page.Body, words) {
					t.Errorf("the page does not say %q: %s", words, page.Body)
				}
			}
			session := b.Cookies(r.PublicURL)[0]
			if resp, _ := send(t, http.MethodPost, r.page(), "", nil, session); resp.StatusCode != http.StatusForbidden {
				t.Errorf("the form is taken: status %d", resp.StatusCode)
			}
			// What does not exist looks the same.
			resp, body := send(t, http.MethodGet, r.PublicURL+"/connect/"+r.conn.Namespace+"/missing", "", nil, session)
			if resp.StatusCode != http.StatusForbidden || title(body) != wordsOf(mayNotConnect).Title {
				t.Errorf("a missing connection: status %d, %s", resp.StatusCode, title(body))
			}
			if len(r.attempts(t)) != 0 || r.idp.Count(idp.Authorize) != 0 {
				t.Error("something was started")
			}
		})
	}
}

func TestWithoutASessionTheFormStartsNothing(t *testing.T) {
	r, _ := signInRig(t, false)
	b := &idp.Browser{}
	r.signIn(t, b, "jane", asks)
	session := b.Cookies(r.PublicURL)[0]
	for name, cookie := range map[string]*http.Cookie{
		"none":     {Name: "other", Value: "x"},
		"made up":  {Name: session.Name, Value: session.Value[:20] + "AAAA" + session.Value[24:]},
		"a ticket": {Name: session.Name, Value: strings.SplitN(r.start(t, r.conn), "=", 2)[1]},
	} {
		resp, _ := send(t, http.MethodPost, r.page(), "", nil, cookie)
		if resp.StatusCode != http.StatusSeeOther || strings.HasPrefix(resp.Header.Get("Location"), r.idp.Issuer()) {
			t.Errorf("%s: status %d, sent to %s", name, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	crossSite := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	if resp, _ := send(t, http.MethodPost, r.page(), "", crossSite, session); resp.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: status %d", resp.StatusCode)
	}
	r.clock.SetTime(r.clock.Now().Add(signin.SessionLifetime))
	if resp, _ := send(t, http.MethodPost, r.page(), "", nil, session); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("a session that is over: status %d", resp.StatusCode)
	}
	if len(r.attempts(t)) != 0 {
		t.Error("an attempt was made")
	}
}

// The attacker signs in and sends the victim to the end of it: the victim would connect an own account
// as somebody else.
func TestNobodyIsSignedInByALink(t *testing.T) {
	r, p := signInRig(t, false)
	attacker, victim := &idp.Browser{}, &idp.Browser{}
	attacker.Until = func(next *url.URL) bool { return next.Path == signin.CallbackPath }
	page := open(t, attacker, r.page())
	for len(page.Forms) == 1 {
		var err error
		if page, err = page.Submit(t.Context(), "", url.Values{"username": {"jane"}, "password": {"jane"}}); err != nil {
			t.Fatal(err)
		}
	}
	lure := page.Header.Get("Location")
	open(t, victim, r.page())
	expect(t, open(t, victim, lure), unknownFlow)
	if p.Count(idp.Token) != 0 {
		t.Error("the code was used")
	}
	for _, cookie := range victim.Cookies(r.PublicURL) {
		if cookie.Name == sessionCookie {
			t.Error("the victim is signed in")
		}
	}
}

func TestSigningInThatIsDeniedSaysSo(t *testing.T) {
	r, _ := signInRig(t, false)
	b := &idp.Browser{Until: func(next *url.URL) bool { return next.Path == signin.CallbackPath }}
	page := open(t, b, r.page())
	for len(page.Forms) == 1 {
		var err error
		if page, err = page.Submit(t.Context(), "", url.Values{"username": {"jane"}, "password": {"jane"}}); err != nil {
			t.Fatal(err)
		}
	}
	b.Until = nil
	expect(t, open(t, b, with(t, page.Header.Get("Location"), "code", "", "error", "access_denied")), signInDenied)
}

func TestSeveralPagesCanWaitForASignIn(t *testing.T) {
	r, _ := signInRig(t, false)
	b := &idp.Browser{Until: func(next *url.URL) bool { return next.Host != hostOf(r.PublicURL) }}
	for range 3 * maxFlows {
		open(t, b, r.page())
		if n := len(b.Cookies(r.PublicURL)); n > maxFlows {
			t.Fatalf("%d cookies", n)
		}
	}
	b.Until = nil
	r.signIn(t, b, "jane", asks)
}
