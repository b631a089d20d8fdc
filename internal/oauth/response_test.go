// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestAuthorizationResponsesAreRead(t *testing.T) {
	code := func(text string) oauth.Response {
		return oauth.Response{State: oauth.NewSecret("s"), Code: oauth.NewSecret(text)}
	}
	named := code("a")
	named.Parameters = map[string]string{"realmId": "123", "accounts-server": "https://accounts.zoho.eu"}
	issued := code("a")
	issued.Issuer = "https://idp.example"
	tests := map[string]struct {
		query, code string
		want        oauth.Response
		ok          bool
	}{
		"code":                      {"state=s&code=a", "", code("a"), true},
		"issuer":                    {"state=s&code=a&iss=https://idp.example", "", issued, true},
		"error":                     {"state=s&error=access_denied&error_description=x&error_uri=y", "", oauth.Response{State: oauth.NewSecret("s"), Error: "access_denied"}, true},
		"a code of another name":    {"state=s&auth_code=a&code=their-own", "auth_code", code("a"), true},
		"not the code of that name": {"state=s&code=a", "auth_code", oauth.Response{State: oauth.NewSecret("s")}, false},
		"what callers need":         {"state=s&code=a&realmId=123&accounts-server=https://accounts.zoho.eu", "", named, true},
		"both":                      {"state=s&code=a&error=b", "", oauth.Response{State: oauth.NewSecret("s"), Code: oauth.NewSecret("a"), Error: "b"}, false},
		"neither":                   {"state=s", "", oauth.Response{State: oauth.NewSecret("s")}, false},
		"state twice":               {"state=s&state=s&code=a", "", oauth.Response{}, false},
		"code twice":                {"state=s&code=a&code=a", "", oauth.Response{}, false},
		"that code twice":           {"state=s&auth_code=a&auth_code=b", "auth_code", oauth.Response{}, false},
		"issuer twice":              {"state=s&code=a&iss=a&iss=a", "", oauth.Response{}, false},
		"a parameter twice":         {"state=s&code=a&realmId=1&realmId=2", "", code("a"), true},
		"a parameter not in UTF-8":  {"state=s&code=a&x=%ff&%ff=x", "", code("a"), true},
		"a parameter too long":      {"state=s&code=a&x=" + strings.Repeat("x", 1025), "", code("a"), true},
		"a name too long or empty":  {"state=s&code=a&=x&" + strings.Repeat("x", 65) + "=x", "", code("a"), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			values, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := oauth.ParseResponse(values, test.code)
			if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
				t.Errorf("%v %s", ok, diff)
			}
		})
	}
}

func TestTheSameSixteenParametersAreKept(t *testing.T) {
	values := url.Values{"state": {"s"}, "code": {"a"}}
	for i := range 40 {
		values.Set(fmt.Sprintf("p%02d", i), "x")
	}
	first, _ := oauth.ParseResponse(values, "")
	second, _ := oauth.ParseResponse(values, "")
	if len(first.Parameters) != 16 || !cmp.Equal(first.Parameters, second.Parameters) {
		t.Errorf("%v and %v", first.Parameters, second.Parameters)
	}
}

func TestAResponseComesFromTheIssuer(t *testing.T) {
	for name, test := range map[string]struct {
		iss, issuer string
		promised    bool
		want        bool
	}{
		"the same":                      {"https://a", "https://a", true, true},
		"another":                       {"https://b", "https://a", false, false},
		"missing":                       {"", "https://a", false, true},
		"missing though it is promised": {"", "https://a", true, false},
		"nothing to compare with":       {"https://a", "", false, true},
	} {
		c := &oauth.Client{Issuer: test.issuer, IssInResponse: test.promised}
		if got := c.IsIssuer(test.iss); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
