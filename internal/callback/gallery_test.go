// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/testenv/chromium"
)

// curator makes pages with the same names each time.
type curator struct{ *Server }

func newCurator() curator {
	return curator{&Server{Attempts: &connect.Attempts{Modes: connect.Modes{Pairing: true, PairingCode: true, SignIn: true}}}}
}

// example is the connection that the pages speak of.
func example() *connect.Target {
	return &connect.Target{
		Connection: &v1alpha1.OAuthConnection{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "github"},
			Spec:       v1alpha1.OAuthConnectionSpec{Grant: v1alpha1.GrantAuthorizationCode},
		},
		Client: &provider.Resolved{DisplayName: "GitHub", Client: oauth.Client{
			ID: "Iv1.0123456789abcdef", Scopes: []string{"repo", "read:org"},
			Endpoints: oauth.Endpoints{Authorization: "https://github.com/login/oauth/authorize"},
		}},
	}
}

func (c curator) consent(change func(*connect.Target)) *answer {
	target := example()
	if change != nil {
		change(target)
	}
	return c.showConsent(target, "jane@company.example", pass{"proof", oauth.Random()})
}

func replaces(account string) func(*connect.Target) {
	return func(target *connect.Target) {
		target.Connection.Status.Account = account
		target.Connection.Status.Conditions = []metav1.Condition{{Type: v1alpha1.AuthorizedCondition, Status: metav1.ConditionTrue}}
	}
}

func (c curator) code(wrong bool) *answer {
	return &answer{status: http.StatusOK, page: "code.html", formAction: "'self'", data: codePage{
		Code: "BCDF-GHJK", Namespace: "team-a", Name: "github", Wrong: wrong,
	}}
}

func (c curator) notice(n notice, facts ...fact) *answer {
	a := c.noticeAnswer(n, types.NamespacedName{Namespace: "team-a", Name: "github"})
	for _, f := range facts {
		a.addFact(f.Name, f.Value)
	}
	return a
}

func (c curator) result(r *connect.Result) *answer {
	return c.resultAnswer(r, types.NamespacedName{Namespace: "team-a", Name: "github"})
}

// exhibits are the pages whose pictures are in docs/pages.md.
func (c curator) exhibits() map[string]*answer {
	return map[string]*answer{
		"consent":           c.consent(nil),
		"consent-replaces":  c.consent(replaces("octocat")),
		"consent-expected":  c.consent(func(t *connect.Target) { t.Connection.Spec.ExpectedAccount = "octocat" }),
		"code":              c.code(false),
		"code-wrong":        c.code(true),
		"connected":         c.result(&connect.Result{Verdict: connect.Connected, Account: "octocat"}),
		"connected-unsaved": c.result(&connect.Result{Verdict: connect.ConnectedUnsaved, Account: "octocat"}),
		"denied":            c.result(&connect.Result{Verdict: connect.Denied}),
		"other-account":     c.result(&connect.Result{Verdict: connect.AccountNotExpected, Account: "hubot", Expected: "octocat"}),
		"another-browser":   c.notice(otherBrowser),
		"not-here":          c.notice(unknownFlow),
		"expired":           c.notice(connect.FlowExpired),
		"used":              c.notice(connect.AlreadyUsed),
		"may-not-connect":   c.notice(mayNotConnect, fact{"Signed in as", "joe@company.example"}),
		"not-ready":         c.notice(connect.NotReady),
		"no-ticket":         c.notice(noTicket),
		"throttled":         c.notice(tooManyRequests),
	}
}

// extremes are pages with the longest and oddest names that there can be.
func (c curator) extremes() map[string]*answer {
	long := strings.Repeat("a", 63) + strings.Repeat("."+strings.Repeat("b", 62), 3) + ".c"
	scopes := make([]string, 64)
	for i := range scopes {
		scopes[i] = "https://www.googleapis.com/auth/scope." + strconv.Itoa(i) + strings.Repeat("x", 4*i)
	}
	everything := func(account string) *answer {
		return c.consent(func(t *connect.Target) {
			replaces(account)(t)
			t.Connection.Name, t.Connection.Namespace = long, long[:63]
			t.Connection.Spec.ExpectedAccount = account
			t.Client.Scopes, t.Client.DisplayName, t.Client.ID = scopes, long, long
		})
	}
	pages := map[string]*answer{}
	for name, account := range map[string]string{
		"long":            strings.Repeat("w", 512),
		"right to left":   "مستخدم@مثال.إختبار",
		"override":        "\u202eexe.tacotco\u202d@example.com",
		"emoji":           strings.Repeat("👩‍👩‍👧‍👦🏳️‍🌈", 30),
		"a single letter": "x",
	} {
		pages["consent, "+name] = everything(account)
		pages["result, "+name] = c.result(&connect.Result{Verdict: connect.AccountNotExpected, Account: account, Expected: account})
		pages["may not, "+name] = c.notice(mayNotConnect, fact{"Signed in as", account})
	}
	code := c.code(true)
	code.data = codePage{Code: "WWWW-WWWW", Namespace: long[:63], Name: long, Wrong: true}
	pages["code"] = code
	pages["notice"] = c.noticeAnswer(connect.Connected, types.NamespacedName{Namespace: long[:63], Name: long})
	return pages
}

// hang serves pages by their names.
func hang(t *testing.T, answers map[string]*answer) func(name string) string {
	t.Helper()
	pages := newPages()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := answers[r.URL.Query().Get("page")]; ok {
			pages.write(w, r, a)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return func(name string) string { return server.URL + "/?" + url.Values{"page": {name}}.Encode() }
}

func TestInChromiumEveryPageIsFitForPeople(t *testing.T) {
	tab := chromium.Start(t).Tab(t)
	c := newCurator()
	answers := c.exhibits()
	address := hang(t, answers)
	for name := range answers {
		tab.Exhibit(t, name, address(name))
	}
}

func TestInChromiumTheLongestAndOddestNamesFit(t *testing.T) {
	tab := chromium.Start(t).Tab(t)
	answers := newCurator().extremes()
	address := hang(t, answers)
	for name := range answers {
		shown := tab.Open(address(name))
		tab.Inspect(t, name, chromium.Look{Width: chromium.Narrowest})
		if strings.ContainsFunc(shown.Text, turnsDirection) {
			t.Errorf("%s: text can pose as another", name)
		}
	}
}

func TestTheDocumentationShowsOrNamesEveryPage(t *testing.T) {
	documented, err := os.ReadFile("../../docs/pages.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range newCurator().exhibits() {
		if !strings.Contains(string(documented), "](screenshots/"+name+".png)") {
			t.Errorf("docs/pages.md does not show %s", name)
		}
		if _, err := os.Stat("../../docs/screenshots/" + name + ".png"); err != nil {
			t.Errorf("%v: run make screenshots", err)
		}
	}
	notices := append(constants(t, "texts.go"), constants(t, "../connect/verdict.go")...)
	if len(notices) < 40 {
		t.Errorf("only %d notices are found", len(notices))
	}
	for _, n := range notices {
		if title := wordsOf(n).Title; !strings.Contains(string(documented), title) {
			t.Errorf("docs/pages.md does not say when people see %q", title)
		}
	}
}

// constants are those of a file that name a notice.
func constants(t *testing.T, path string) []notice {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []notice
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		if ok && (kind.Name == "notice" || kind.Name == "Verdict") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, notice(value))
		}
		return true
	})
	return found
}
