// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chromium_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv/chromium"
)

const good = `<!doctype html><html lang="en"><title>Good</title><meta name="viewport" content="width=device-width">
<style>body { background: #fff; color: #222 } button { height: 44px; background: #05a; color: #fff; animation: none }
:focus-visible { outline: 3px solid #05a }</style><main><h1>Good</h1><p>Text</p><button>Go</button></main>`

// serve returns the address of a page and of its headers.
func serve(t *testing.T, body, policy string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAnAuditFindsWhatIsWrongWithAPage(t *testing.T) {
	tab := chromium.Start(t).Tab(t)
	for want, change := range map[string][2]string{
		"":                    {"", ""},
		"contrast of":         {"color: #222", "color: #888"},
		"not 3":               {"<h1>", "<h1 style='color: #ccc; font-size: 24px'>"},
		"lower than 44 px":    {"44px", "43px"},
		"no ring":             {"3px solid #05a", "none"},
		"a faint ring":        {"3px solid #05a", "3px solid #def"},
		"scrolls sideways":    {"Text", strings.Repeat("x", 100)},
		"cuts its content":    {"Text", strings.Repeat("x", 100)},
		"sticks out":          {"<p>", "<p style='width: 400px'>"},
		"no lang":             {` lang="en"`, ""},
		"no title":            {"Good</title>", "</title>"},
		"not one h1":          {"<p>", "<h1>More</h1><p>"},
		"not one main":        {"main>", "div>"},
		"outside":             {"<main>", "<p>Lost</p><main>"},
		"something moves":     {"animation: none", "animation: turn 1s infinite } @keyframes turn { to { opacity: 0 }"},
		"not allowed: <scrip": {"Text", "<script>1</script>"},
	} {
		tab.Open(serve(t, strings.ReplaceAll(good, change[0], change[1]), ""))
		tab.Show(chromium.Look{Width: chromium.Narrowest})
		found := strings.Join(tab.Audit(), "\n")
		if !strings.Contains(found, want) || want == "" && found != "" {
			t.Errorf("want %q, found %q", want, found)
		}
	}
}

func TestTheBrowserComplainsOfWhatAPolicyBlocks(t *testing.T) {
	tab := chromium.Start(t).Tab(t)
	tab.Open(serve(t, good, "default-src 'none'"))
	if said := strings.Join(tab.Complaints(), "\n"); !strings.Contains(said, "style") {
		t.Errorf("the browser says %q of a style sheet that is blocked", said)
	}
	tab.Open(serve(t, good, "default-src 'none'; style-src 'unsafe-inline'"))
	if said := tab.Complaints(); len(said) > 0 {
		t.Errorf("the browser says %q of a page that is fine", said)
	}
}

func TestPrivateWindowsShareNoCookies(t *testing.T) {
	b := chromium.Start(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
		fmt.Fprintf(w, "<h1>%d</h1>", len(r.Cookies()))
	}))
	t.Cleanup(server.Close)
	first, second := b.Tab(t), b.Tab(t)
	first.Open(server.URL)
	if first.Open(server.URL).Heading != "1" || second.Open(server.URL).Heading != "0" {
		t.Error("a cookie is not where it belongs")
	}
}
