// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// site serves handlers at http://127.0.0.1 and http://localhost, which are two sites to a browser.
func site(t *testing.T, handlers map[string]http.HandlerFunc) (ip, localhost string) {
	t.Helper()
	mux := http.NewServeMux()
	for path, handler := range handlers {
		mux.HandleFunc(path, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func open(t *testing.T, b *idp.Browser, address string) *idp.Page {
	t.Helper()
	page, err := b.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func echo(w http.ResponseWriter, r *http.Request) {
	var names []string
	for _, cookie := range r.Cookies() {
		names = append(names, cookie.Name)
	}
	fmt.Fprintf(w, "%s site=%s origin=%s cookies=%s form=%s", r.Method, r.Header.Get("Sec-Fetch-Site"),
		r.Header.Get("Origin"), strings.Join(names, ","), r.PostFormValue("field"))
}

func form(action, policy string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		fmt.Fprintf(w, `<form method=post action=%q><input name=field value=filled><button>Go</button></form>`, action)
	}
}

func TestABrowserRefusesCookiesThatBreakTheRules(t *testing.T) {
	ip, _ := site(t, map[string]http.HandlerFunc{
		"/echo": echo,
		"/set": func(w http.ResponseWriter, _ *http.Request) {
			for _, cookie := range []string{
				"plain=1", "secure=1; Secure", "__Host-good=1; Secure; Path=/", "__Secure-good=1; Secure",
				"__Host-insecure=1; Path=/", "__Host-domain=1; Secure; Path=/; Domain=127.0.0.1",
				"__Host-path=1; Secure; Path=/set", "__host-case=1; Path=/", "__Secure-bad=1",
				"none=1; SameSite=None", "foreign=1; Domain=example.com", "elsewhere=1; Path=/other",
				"gone=1; Max-Age=0",
			} {
				w.Header().Add("Set-Cookie", cookie)
			}
		},
	})
	b := new(idp.Browser)
	open(t, b, ip+"/set")
	var got []string
	for _, cookie := range b.Cookies(ip + "/echo") {
		got = append(got, cookie.Name)
	}
	if diff := cmp.Diff([]string{"plain", "secure", "__Host-good", "__Secure-good"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSameSiteDecidesWhatAnotherSitesFormBrings(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"/echo": echo,
		"/set": func(w http.ResponseWriter, _ *http.Request) {
			for _, cookie := range []string{"lax=1; SameSite=Lax", "strict=1; SameSite=Strict", "default=1", "none=1; SameSite=None; Secure"} {
				w.Header().Add("Set-Cookie", cookie)
			}
		},
	}
	ip, localhost := site(t, handlers)
	_, attacker := site(t, map[string]http.HandlerFunc{
		"/post":     form(ip+"/echo", ""),
		"/redirect": form("/go", ""),
		"/go": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, ip+"/echo", http.StatusSeeOther)
		},
	})
	b := new(idp.Browser)
	open(t, b, ip+"/set")
	submit := func(address string) string {
		page, err := open(t, b, address).Submit(t.Context(), "Go", nil)
		if err != nil {
			t.Fatal(err)
		}
		return page.Body
	}
	if got, want := submit(attacker+"/post"), "POST site=cross-site origin="+attacker+" cookies=none form=filled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := submit(attacker+"/redirect"), "GET site=cross-site origin= cookies=lax,default,none form="; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := open(t, b, ip+"/echo").Body; got != "GET site=none origin= cookies=lax,strict,default,none form=" {
		t.Errorf("typed: %q", got)
	}
	if got := open(t, b, localhost+"/echo").Body; got != "GET site=none origin= cookies= form=" {
		t.Errorf("another host: %q", got)
	}
}

func TestFormsAreFilledInAndSubmitted(t *testing.T) {
	ip, _ := site(t, map[string]http.HandlerFunc{
		"/form": form("/echo", ""),
		"/shy": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Referrer-Policy", "no-referrer")
			form("/echo", "")(w, r)
		},
		"/echo": echo,
	})
	b := new(idp.Browser)
	page, err := open(t, b, ip+"/form").Submit(t.Context(), "", url.Values{"field": {"typed"}})
	if want := "POST site=same-origin origin=" + ip + " cookies= form=typed"; err != nil || page.Body != want {
		t.Errorf("got %v %v, want %s", page, err, want)
	}
	page, err = open(t, b, ip+"/shy").Submit(t.Context(), "Go", nil)
	if want := "POST site=same-origin origin=null cookies= form=filled"; err != nil || page.Body != want {
		t.Errorf("got %v %v, want %s", page, err, want)
	}
	if _, err := page.Submit(t.Context(), "Go", nil); err == nil {
		t.Error("a page without forms was submitted")
	}
}

func TestFormActionIsObeyedInRedirectsToo(t *testing.T) {
	_, elsewhere := site(t, map[string]http.HandlerFunc{"/echo": echo})
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+"/echo", http.StatusSeeOther)
	}
	ip, _ := site(t, map[string]http.HandlerFunc{
		"/self": form("/go", "default-src 'none'; form-action 'self'"),
		"/both": form("/go", "default-src 'none'; form-action 'self' "+elsewhere),
		"/open": form("/go", "default-src 'none'"),
		"/go":   away,
	})
	for path, allowed := range map[string]bool{"/self": false, "/both": true, "/open": true} {
		_, err := open(t, new(idp.Browser), ip+path).Submit(t.Context(), "Go", nil)
		if (err == nil) != allowed {
			t.Errorf("%s: %v", path, err)
		}
	}
}
