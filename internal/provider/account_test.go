// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func token(claims string, body map[string]any) *oauth.Token {
	t := &oauth.Token{AccessToken: oauth.NewSecret("the-token"), TokenType: "Bearer", Body: body}
	if claims != "" {
		t.IDToken = oauth.NewSecret("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")
	}
	return t
}

func TestTheAccountIsWhatTheExpressionGives(t *testing.T) {
	p := newIDP(t)
	p.handle("/me", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-token" || r.Method != http.MethodGet {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"login":"octocat","id":12345678,"name":null}`)
	})
	e := setup(t, p, secret("team-a", "s", "hush"))
	claims := `{"email":"a@b.example","preferred_username":"pref","sub":"subject","odd":"x\u0000\u202ey","long":"` + strings.Repeat("é", 400) + `"}`
	body := map[string]any{"team": map[string]any{"name": "Blue", "id": 7.0}}
	tests := map[string]struct {
		expression, claims, want string
		asks                     bool
	}{
		"a claim":             {"idToken.email", claims, "a@b.example", false},
		"userInfo":            {"userInfo.login", claims, "octocat", true},
		"a number":            {"string(userInfo.id)", claims, "12345678", true},
		"the body":            {"body.team.name + '/' + string(body.team.id)", claims, "Blue/7", false},
		"userInfo not needed": {"has(idToken.email) ? idToken.email : userInfo.login", claims, "a@b.example", false},
		"userInfo needed":     {"has(idToken.email) ? idToken.email : userInfo.login", `{}`, "octocat", true},
		"a missing field":     {"idToken.nothing.at.all", claims, "", false},
		"no ID token":         {"idToken.email", "", "", false},
		"a broken ID token":   {"idToken.email", "<html>", "", false},
		"not a text":          {"userInfo.id", claims, "", true},
		"null":                {"userInfo.name", claims, "", true},
		"too costly":          {"[1,2,3,4,5,6,7,8,9].map(a,[1,2,3,4,5,6,7,8,9].map(b,[1,2,3,4,5,6,7,8,9].map(c,[1,2,3,4,5,6,7,8,9].map(d,[1,2,3,4,5,6,7,8,9].map(e,idToken.email)))))[0][0][0][0][0]", claims, "", false},
		"unprintable":         {"idToken.odd", claims, "x??y", false},
		"long":                {"idToken.long", claims, strings.Repeat("é", 256), false},
		"none: email":         {"", claims, "a@b.example", false},
		"none: not verified":  {"", `{"email":"a@b.example","email_verified":false,"preferred_username":"pref"}`, "pref", false},
		"none: verified":      {"", `{"email":"a@b.example","email_verified":true}`, "a@b.example", false},
		"none: username":      {"", `{"email":"","preferred_username":"pref","sub":"subject"}`, "pref", false},
		"none: sub":           {"", `{"email":1,"sub":"subject"}`, "subject", false},
		"none, no ID token":   {"", "", "", false},
	}
	misfits := map[string]string{"not a text": "account gave a number instead of a text", "too costly": "account takes too much"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			spec.Endpoints.UserInfo = v1alpha1.EndpointURL(p.URL + "/me")
			spec.Account = test.expression
			before := len(p.asked())
			got, err := e.resolve(t, connection(spec)).Account(t.Context(), token(test.claims, body), nil)
			misfit := ""
			if err != nil {
				misfit = err.Error()
			}
			if misfit != misfits[name] || got != test.want {
				t.Errorf("got %q, %v; want %q, %q", got, err, test.want, misfits[name])
			}
			if asked := len(p.asked()) > before; asked != test.asks {
				t.Errorf("userInfo asked: %t", asked)
			}
		})
	}
}

func TestUserInfoThatFailsIsSaidWithoutItsText(t *testing.T) {
	p := newIDP(t)
	p.handle("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>"+hostile) })
	p.handle("/refused", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"login":"`+hostile+`"}`)
	})
	p.handle("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/me", http.StatusFound) })
	e := setup(t, p, secret("team-a", "s", "hush"))
	for _, path := range []string{"/page", "/refused", "/elsewhere", "/missing"} {
		spec := plain()
		spec.Endpoints.UserInfo, spec.Account = v1alpha1.EndpointURL(p.URL+path), "userInfo.login"
		got, err := e.resolve(t, connection(spec)).Account(t.Context(), token("", nil), nil)
		if got != "" || err == nil || strings.Contains(err.Error(), hostile) || strings.Contains(err.Error(), "the-token") {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
	spec := plain()
	spec.Account = "userInfo.login" // and no endpoint
	if got, err := e.resolve(t, connection(spec)).Account(t.Context(), token("", nil), nil); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAnAccountExpressionEndsSoon(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	list := "[" + strings.Repeat("1,", 19) + "1]"
	spec := plain()
	// To compare what is nested costs nothing by CEL's count and takes milliseconds.
	spec.Account = list + ".all(a," + list + ".all(b," + list + ".all(c,[body.x]==[body.x])))?'a':'b'"
	nested := make([]any, 20_000)
	for i := range nested {
		nested[i] = []any{}
	}
	resolved := e.resolve(t, connection(spec))
	started := time.Now()
	name, err := resolved.Account(t.Context(), token("", map[string]any{"x": nested}), nil)
	if took := time.Since(started); name != "" || err == nil || took > 3*time.Second {
		t.Errorf("got %q, %v after %s", name, err, took)
	}
}

func TestAnAccountExpressionWaitsForUserInfo(t *testing.T) {
	p := newIDP(t)
	p.handle("/me", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second) // longer than an expression may take by itself
		_, _ = io.WriteString(w, `{"names":["", "octocat"]}`)
	})
	e := setup(t, p, secret("team-a", "s", "hush"))
	spec := plain()
	spec.Endpoints.UserInfo = v1alpha1.EndpointURL(p.URL + "/me")
	spec.Account = "userInfo.names.filter(n, n != '')[0]"
	name, err := e.resolve(t, connection(spec)).Account(t.Context(), token("", nil), nil)
	if name != "octocat" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
}
