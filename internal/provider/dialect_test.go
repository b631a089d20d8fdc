// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// read gives what the rules make of an answer.
func (e *env) read(t testing.TB, rules v1alpha1.TokenResponseRules, body string) oauth.Reading {
	t.Helper()
	spec := plain()
	spec.TokenResponse = &rules
	answer := oauth.Answer{Status: http.StatusOK, Header: http.Header{"X-Token": {"in-header"}, "X-Many": {"a", "b"}}}
	if err := json.Unmarshal([]byte(body), &answer.Body); err != nil {
		t.Fatal(err)
	}
	return e.resolve(t, connection(spec)).Dialect.Read(answer)
}

func TestAnswersAreReadByTheExpressions(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	now := e.clock.Now()
	type rules = v1alpha1.TokenResponseRules
	in90 := now.Add(90 * time.Second)
	stamp, _ := json.Marshal(in90)
	unix, _ := json.Marshal(in90.Unix())
	tests := map[string]struct {
		rules rules
		body  string
		want  map[string]any // of the reading's body; nil: absent
	}{
		"nested":               {rules{AccessToken: "body.user.token", RefreshToken: "body.user.refresh"}, `{"user":{"token":"a","refresh":"r"}}`, map[string]any{"access_token": "a", "refresh_token": "r"}},
		"under another name":   {rules{AccessToken: "body.accessToken", IDToken: "body.idToken", TokenType: "'Bearer'"}, `{"accessToken":"a","idToken":"i"}`, map[string]any{"access_token": "a", "id_token": "i", "token_type": "Bearer"}},
		"in a header":          {rules{AccessToken: "headers['x-token']", RefreshToken: "headers['x-many']"}, `{}`, map[string]any{"access_token": "in-header", "refresh_token": "a, b"}},
		"by status":            {rules{Error: "status == 200 ? '' : 'failed'"}, `{"error":"x"}`, map[string]any{"error": nil}},
		"error inside 200":     {rules{Error: "body.ok ? '' : body.reason"}, `{"ok":false,"reason":"bad_token"}`, map[string]any{"error": "bad_token"}},
		"no error":             {rules{Error: "body.ok ? '' : body.reason"}, `{"ok":true,"error":"unrelated"}`, map[string]any{"error": nil}},
		"an error by RFC 6749": {rules{Error: "body.ok ? '' : body.reason"}, `{"error":"invalid_grant"}`, map[string]any{"error": "invalid_grant"}},
		"milliseconds":         {rules{ExpiresIn: "body.expires_in / 1000"}, `{"expires_in":3600000}`, map[string]any{"expires_in": 3600.0}},
		"seconds as a text":    {rules{ExpiresIn: "body.expiresIn"}, `{"expiresIn":"3600"}`, map[string]any{"expires_in": 3600.0}},
		"an end in seconds":    {rules{ExpiresAt: "body.at"}, `{"at":` + string(unix) + `}`, map[string]any{"expires_in": 90.0}},
		"an end as a text":     {rules{ExpiresAt: "body.at"}, `{"at":` + string(stamp) + `}`, map[string]any{"expires_in": 90.0}},
		"an end in CEL":        {rules{ExpiresAt: "timestamp(body.at)"}, `{"at":` + string(stamp) + `}`, map[string]any{"expires_in": 90.0}},
		"an end in ms":         {rules{ExpiresAt: "body.at / 1000"}, `{"at":` + string(unix) + `000}`, map[string]any{"expires_in": 90.0}},
		"an end in the past":   {rules{ExpiresAt: "body.at"}, `{"at":1}`, map[string]any{"expires_in": 1.0}},
		"no end":               {rules{ExpiresAt: "body.at"}, `{"at":0}`, map[string]any{"expires_in": nil}},
		"a life beats an end":  {rules{ExpiresAt: "body.at", ExpiresIn: "body.left"}, `{"at":` + string(unix) + `,"left":7}`, map[string]any{"expires_in": 7.0}},
		"the refresh token's":  {rules{RefreshTokenExpiresAt: "body.at"}, `{"at":` + string(unix) + `}`, map[string]any{"refresh_token_expires_in": 90.0}},
		"scopes as a list":     {rules{Scope: "body.scopes"}, `{"scopes":["a","b"]}`, map[string]any{"scope": []any{"a", "b"}}},
		"scopes as a text":     {rules{Scope: "body.granted"}, `{"granted":"a,b"}`, map[string]any{"scope": "a,b"}},
		"a missing field":      {rules{AccessToken: "body.data.token", ExpiresIn: "body.data.left"}, `{"access_token":"a","expires_in":5}`, map[string]any{"access_token": "a", "expires_in": 5.0}},
		"null":                 {rules{AccessToken: "body.token", Scope: "body.scopes"}, `{"access_token":"a","token":null,"scopes":null}`, map[string]any{"access_token": "a", "scope": nil}},
		"a field of null":      {rules{AccessToken: "body.user.token"}, `{"access_token":"a","user":null}`, map[string]any{"access_token": "a"}},
		"an empty list":        {rules{AccessToken: "body.tokens[0].value"}, `{"access_token":"a","tokens":[]}`, map[string]any{"access_token": "a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reading := e.read(t, test.rules, test.body)
			for field, want := range test.want {
				if diff := cmp.Diff(want, reading.Body[field]); diff != "" {
					t.Errorf("%s: %s", field, diff)
				}
			}
			if len(reading.Issues) > 0 {
				t.Errorf("issues: %v", reading.Issues)
			}
		})
	}
}

func TestAnExpressionThatGivesSomethingElseIsNamedAndLeftOut(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	type rules = v1alpha1.TokenResponseRules
	tests := map[string]struct {
		rules rules
		body  string
		want  string
	}{
		"a list":            {rules{ExpiresIn: "body.left"}, `{"left":[1]}`, "tokenResponse.expiresIn gave a list instead of a number"},
		"an object":         {rules{AccessToken: "body.token"}, `{"token":{"a":1}}`, "tokenResponse.accessToken gave an object instead of a text"},
		"a number":          {rules{Error: "body.code"}, `{"code":7}`, "tokenResponse.error gave a number instead of a text"},
		"true":              {rules{Scope: "body.scopes"}, `{"scopes":true}`, "tokenResponse.scope gave true or false instead of a text or a list of texts"},
		"numbers in a list": {rules{Scope: "body.scopes"}, `{"scopes":[1]}`, "tokenResponse.scope gave a list instead of a text or a list of texts"},
		"a text":            {rules{ExpiresIn: "body.left"}, `{"left":"` + hostile + `"}`, "tokenResponse.expiresIn gave a text that is not a number"},
		"no time":           {rules{ExpiresAt: "body.at"}, `{"at":"tomorrow"}`, "tokenResponse.expiresAt gave a text that is not a time"},
		"milliseconds":      {rules{ExpiresAt: "body.at"}, `{"at":1795314373000}`, "tokenResponse.expiresAt gave a number that is no time in seconds since 1970 (milliseconds? divide them by 1000)"},
		"nothing to divide": {rules{ExpiresIn: "body.left / 1000"}, `{"left":"` + hostile + `"}`, "tokenResponse.expiresIn could not be worked out"},
		"too costly": {
			rules{AccessToken: "[1,2,3,4,5,6,7,8,9].map(a,[1,2,3,4,5,6,7,8,9].map(b,[1,2,3,4,5,6,7,8,9].map(c,[1,2,3,4,5,6,7,8,9].map(d,[1,2,3,4,5,6,7,8,9].map(e,body.x)))))[0][0][0][0][0]"},
			`{"x":"y"}`, "tokenResponse.accessToken takes too much",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reading := e.read(t, test.rules, strings.Replace(test.body, "{", `{"access_token":"a","expires_in":5,"scope":"s","error":"e",`, 1))
			if diff := cmp.Diff([]string{test.want}, reading.Issues); diff != "" {
				t.Error(diff)
			}
			// What it was to correct is not used in its place; everything else is.
			want := map[string]any{"access_token": "a", "expires_in": 5.0, "scope": "s", "error": "e"}
			for name, expression := range map[string]v1alpha1.Expression{
				"access_token": test.rules.AccessToken, "expires_in": test.rules.ExpiresIn + test.rules.ExpiresAt,
				"scope": test.rules.Scope, "error": test.rules.Error,
			} {
				if expression != "" {
					delete(want, name)
				}
				if reading.Body[name] != want[name] {
					t.Errorf("%s is %v, want %v", name, reading.Body[name], want[name])
				}
			}
		})
	}
}

func TestARefreshTokenIsNotGivenUpForAnExpression(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	reading := e.read(t, v1alpha1.TokenResponseRules{RefreshToken: "body.next"}, `{"access_token":"a","refresh_token":"r","next":[1]}`)
	if reading.Body["refresh_token"] != "r" || len(reading.Issues) != 1 {
		t.Errorf("got %v, %v", reading.Body, reading.Issues)
	}
}

func TestExpressionsThatCannotWorkAreRefusedByName(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	tests := map[string]struct {
		change func(*v1alpha1.ProviderSpec)
		words  []string
	}{
		"broken":            {func(s *v1alpha1.ProviderSpec) { s.TokenResponse = &v1alpha1.TokenResponseRules{Error: "body.ok ?"} }, []string{"spec.provider.tokenResponse.error:", "CEL", "a text"}},
		"a list of seconds": {func(s *v1alpha1.ProviderSpec) { s.TokenResponse = &v1alpha1.TokenResponseRules{ExpiresIn: "[1]"} }, []string{"spec.provider.tokenResponse.expiresIn:", "a number", "list(int)"}},
		"truth for a token": {func(s *v1alpha1.ProviderSpec) {
			s.TokenResponse = &v1alpha1.TokenResponseRules{AccessToken: "status == 200"}
		}, []string{"spec.provider.tokenResponse.accessToken:", "bool"}},
		"unknown variable": {func(s *v1alpha1.ProviderSpec) { s.TokenResponse = &v1alpha1.TokenResponseRules{Scope: "idToken.scope"} }, []string{"spec.provider.tokenResponse.scope:", "body, headers and status"}},
		"metadata":         {func(s *v1alpha1.ProviderSpec) { s.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "callback."}} }, []string{"spec.provider.metadata[x].value:", "callback"}},
		"metadata, a list": {func(s *v1alpha1.ProviderSpec) { s.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "[1]"}} }, []string{"spec.provider.metadata[x].value:", "list(int)"}},
		"metadata's pattern": {func(s *v1alpha1.ProviderSpec) {
			s.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "'a'", Pattern: "("}}
		}, []string{"spec.provider.metadata[x].pattern:", "RE2"}},
		"metadata named as what is revoked": {func(s *v1alpha1.ProviderSpec) {
			s.Metadata = []v1alpha1.MetadataRule{{Name: "token", Value: "'a'", Pattern: "a"}}
			s.Endpoints.Revocation = "https://idp.example/{token}"
		}, []string{"spec.provider.endpoints.revocation:", "metadata[token]", "another name"}},
		"state renamed": {func(s *v1alpha1.ProviderSpec) {
			s.AuthorizationRequest = &v1alpha1.AuthorizationRequestRules{Rename: v1alpha1.ParamNames{"state": "s"}}
		}, []string{"spec.provider.authorizationRequest.rename:", "state"}},
		"challenge dropped": {func(s *v1alpha1.ProviderSpec) {
			s.AuthorizationRequest = &v1alpha1.AuthorizationRequestRules{Rename: v1alpha1.ParamNames{"code_challenge": ""}}
		}, []string{"spec.provider.authorizationRequest.rename:", "pkce: None"}},
		"verifier dropped": {func(s *v1alpha1.ProviderSpec) {
			s.TokenRequest = &v1alpha1.TokenRequestRules{Rename: v1alpha1.ParamNames{"code_verifier": ""}}
		}, []string{"spec.provider.tokenRequest.rename:", "pkce: None"}},
		"the name of another parameter": {func(s *v1alpha1.ProviderSpec) {
			s.AuthorizationRequest = &v1alpha1.AuthorizationRequestRules{Rename: v1alpha1.ParamNames{"scope": "state"}}
		}, []string{"spec.provider.authorizationRequest.rename:", "scope would be sent as state", "choose another name"}},
		"an extra parameter in a protected place": {func(s *v1alpha1.ProviderSpec) {
			s.AuthorizationRequest = &v1alpha1.AuthorizationRequestRules{Rename: v1alpha1.ParamNames{"login_hint": "redirect_uri"}}
		}, []string{"spec.provider.authorizationRequest.rename:", "login_hint would be sent as redirect_uri"}},
		"one name for two": {func(s *v1alpha1.ProviderSpec) {
			s.TokenRequest = &v1alpha1.TokenRequestRules{Rename: v1alpha1.ParamNames{"client_id": "app", "client_secret": "app"}}
		}, []string{"spec.provider.tokenRequest.rename:", "client_id would be sent as app", "another parameter"}},
		"one name for two of a revocation": {func(s *v1alpha1.ProviderSpec) {
			s.RevocationRequest = &v1alpha1.RevocationRequestRules{Rename: v1alpha1.ParamNames{"token": "client_id"}}
		}, []string{"spec.provider.revocationRequest.rename:", "token would be sent as client_id"}},
		"a header that authenticates": {func(s *v1alpha1.ProviderSpec) {
			s.TokenRequest = &v1alpha1.TokenRequestRules{Headers: v1alpha1.RequestHeaders{"authorization": "Bearer x"}}
		}, []string{"spec.provider.tokenRequest.headers:", "authorization is set by the operator", "clientAuthentication"}},
		"a header that frames": {func(s *v1alpha1.ProviderSpec) {
			s.RevocationRequest = &v1alpha1.RevocationRequestRules{Headers: v1alpha1.RequestHeaders{"Content-Type": "text/plain"}}
		}, []string{"spec.provider.revocationRequest.headers:", "Content-Type is set by the operator"}},
		"no header": {func(s *v1alpha1.ProviderSpec) {
			s.TokenRequest = &v1alpha1.TokenRequestRules{Headers: v1alpha1.RequestHeaders{"X A": "b"}}
		}, []string{"spec.provider.tokenRequest.headers:", `"X A" is no name of a header`}},
		"a header of two lines": {func(s *v1alpha1.ProviderSpec) {
			s.TokenRequest = &v1alpha1.TokenRequestRules{Headers: v1alpha1.RequestHeaders{"X-A": "b\nc"}}
		}, []string{"spec.provider.tokenRequest.headers:", "the value of X-A", "line break"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			test.change(&spec)
			e.refused(t, connection(spec), v1alpha1.ReasonProviderInvalid, test.words...)
		})
	}
}

func TestParametersMayTakeEachOthersNamesWhereNoRequestHasBoth(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for name, names := range map[string]v1alpha1.ParamNames{
		"those of two requests": {"code": "grant", "refresh_token": "grant"},
		"another request's":     {"refresh_token": "code"},
		"a name that is free":   {"client_id": "grant_type", "grant_type": ""},
		"two that change":       {"client_id": "client_secret", "client_secret": "client_id"},
		"the same":              {"client_id": "client_id"},
		"an extra one":          {"audience": "resource"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			spec.TokenRequest = &v1alpha1.TokenRequestRules{Rename: names, Headers: v1alpha1.RequestHeaders{"Api-Version": "1", "User-Agent": "a b"}}
			e.resolve(t, connection(spec))
		})
	}
}

func TestAnAnswerWithoutTheTokenThatAnExpressionLooksForNamesTheExpression(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	rules := v1alpha1.TokenResponseRules{AccessToken: "body.data.tokn", RefreshToken: "body.data.next"}
	reading := e.read(t, rules, `{"data":{"token":"a"}}`)
	if diff := cmp.Diff([]string{"tokenResponse.accessToken found nothing in the answer"}, reading.Issues); diff != "" {
		t.Error(diff)
	}
	if reading = e.read(t, rules, `{"access_token":"a"}`); len(reading.Issues) != 0 {
		t.Errorf("where RFC 6749's name has one: %v", reading.Issues)
	}
}

func TestExpressionsOverAnAnswerEndSoon(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	list := "[" + strings.Repeat("1,", 19) + "1]"
	slow := v1alpha1.Expression(list + ".all(a," + list + ".all(b," + list + ".all(c,[body.x]==[body.x])))?'a':'b'")
	started := time.Now()
	reading := e.read(t, v1alpha1.TokenResponseRules{AccessToken: slow, RefreshToken: slow, Scope: slow}, `{"x":[`+strings.Repeat("[],", 20_000)+`[]]}`)
	if took := time.Since(started); took > 5*time.Second || len(reading.Issues) != 3 {
		t.Errorf("got %v after %s", reading.Issues, took)
	}
}

func FuzzAnswersReadByExpressions(f *testing.F) {
	for _, body := range []string{`{}`, `{"a":{"b":"t"},"n":1e400}`, `{"a":[1,null,{"b":[]}],"n":-1}`, `{"a":"x","n":"NaN","t":9223372036854775807}`, `{"t":"2026-01-02T03:04:05Z"}`} {
		f.Add(body, "h")
	}
	e := setup(f, nil, secret("team-a", "s", "hush"))
	spec := plain()
	spec.TokenResponse = &v1alpha1.TokenResponseRules{
		AccessToken: "body.a.b", RefreshToken: "body.a", TokenType: "headers['x']", Scope: "body.s", ExpiresIn: "body.n", ExpiresAt: "body.t",
		RefreshTokenExpiresIn: "body.n / 1000", RefreshTokenExpiresAt: "timestamp(body.t)", Error: "body.e ? '' : body.f", ErrorDescription: "body.a[0]",
	}
	spec.Account = "string(body.n)"
	spec.Metadata = []v1alpha1.MetadataRule{{Name: "a", Value: "body.a"}, {Name: "n", Value: "body.n", Pattern: "[0-9]+"}, {Name: "h", Value: "headers['x']"}}
	resolved := e.resolve(f, connection(spec))
	f.Fuzz(func(t *testing.T, body, header string) {
		answer := oauth.Answer{Status: http.StatusOK, Header: http.Header{"X": {header}}}
		if json.Unmarshal([]byte(body), &answer.Body) != nil {
			return
		}
		reading := resolved.Dialect.Read(answer)
		for _, field := range []string{"expires_in", "refresh_token_expires_in"} {
			switch value := reading.Body[field].(type) {
			case float64, string, nil:
			default:
				if _, same := answer.Body[field]; !same {
					t.Errorf("%s is %T", field, value)
				}
			}
		}
		answered := &oauth.Token{Body: answer.Body, Header: answer.Header}
		if _, err := resolved.Account(t.Context(), answered, nil); err != nil {
			t.Error(err)
		}
		values, issues := resolved.Metadata(t.Context(), answered, nil, nil)
		for name, value := range values {
			if len(value) > 1024 || strings.ContainsAny(value, "\x00\n\r") {
				t.Errorf("%s holds %q", name, value)
			}
		}
		for _, issue := range append(issues, reading.Issues...) {
			if len(issue) > 160 {
				t.Errorf("the issue may repeat foreign text: %q", issue)
			}
		}
	})
}
