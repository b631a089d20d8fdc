// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestMetadataIsKeptOfCallbackAndAnswers(t *testing.T) {
	p := newIDP(t)
	p.handle("/me/eu", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"site":"s-1"}`) })
	e := setup(t, p, secret("team-a", "s", "hush"))
	spec := plain()
	spec.Endpoints.UserInfo = v1alpha1.EndpointURL(p.URL + "/me/{dc}")
	spec.Account = "userInfo.site"
	spec.Metadata = []v1alpha1.MetadataRule{
		{Name: "realmId", Value: "callback.realmId", Pattern: "[0-9]{1,8}"},
		{Name: "dc", Value: "callback['data-center']", Pattern: "eu|com"},
		{Name: "instance", Value: "body.instance_url"},
		{Name: "count", Value: "body.count"},
		{Name: "trace", Value: "headers['x-trace']"},
		{Name: "who", Value: "idToken.sub"},
		{Name: "site", Value: "userInfo.site"},
	}
	resolved := e.resolve(t, connection(spec))
	callback := map[string]string{"realmId": "42", "data-center": "eu"}
	first, issues := resolved.Metadata(t.Context(), &oauth.Token{}, callback, nil)
	if diff := cmp.Diff(map[string]string{"realmId": "42", "dc": "eu"}, first); diff != "" || len(issues) > 0 || len(p.asked()) > 0 {
		t.Errorf("before the exchange: %s, %v, asked %v", diff, issues, p.asked())
	}
	answered := token(`{"sub":"me"}`, map[string]any{"instance_url": "https://eu1.example", "count": 12345678.0})
	answered.Header = http.Header{"X-Trace": {"t"}}
	all, issues := resolved.Metadata(t.Context(), answered, callback, first)
	want := map[string]string{
		"realmId": "42", "dc": "eu", "instance": "https://eu1.example", "count": "12345678", "trace": "t", "who": "me", "site": "s-1",
	}
	if diff := cmp.Diff(want, all); diff != "" || len(issues) > 0 {
		t.Errorf("after it: %s, %v", diff, issues)
	}
	later, issues := resolved.Metadata(t.Context(), token("", map[string]any{"instance_url": "https://eu2.example"}), nil, all)
	want["instance"] = "https://eu2.example"
	if diff := cmp.Diff(want, later); diff != "" || len(issues) > 0 {
		t.Errorf("after a refresh: %s, %v", diff, issues)
	}
	if account, err := resolved.Account(t.Context(), answered, callback); account != "s-1" || err != nil {
		t.Errorf("the account is %q, %v", account, err)
	}
}

func TestOddMetadataIsNamedAndTheHeldValueStays(t *testing.T) {
	p := newIDP(t)
	e := setup(t, p, secret("team-a", "s", "hush"))
	for name, test := range map[string]struct {
		rule v1alpha1.MetadataRule
		body map[string]any
		want string
	}{
		"pattern":       {v1alpha1.MetadataRule{Value: "body.x", Pattern: "[0-9]+"}, map[string]any{"x": hostile}, "metadata.it gave a value that does not match its pattern"},
		"whole value":   {v1alpha1.MetadataRule{Value: "body.x", Pattern: "a|b"}, map[string]any{"x": "ab"}, "metadata.it gave a value that does not match its pattern"},
		"a list":        {v1alpha1.MetadataRule{Value: "body.x"}, map[string]any{"x": []any{"a"}}, "metadata.it gave a list instead of"},
		"too long":      {v1alpha1.MetadataRule{Value: "body.x"}, map[string]any{"x": strings.Repeat("a", 1025)}, "metadata.it gave a text instead of"},
		"unprintable":   {v1alpha1.MetadataRule{Value: "body.x"}, map[string]any{"x": "a\nb"}, "metadata.it gave a text instead of"},
		"no userInfo":   {v1alpha1.MetadataRule{Value: "userInfo.x"}, nil, "metadata.it is not known: the provider's userInfo"},
		"not by CEL":    {v1alpha1.MetadataRule{Value: "body.x + 1"}, map[string]any{"x": hostile}, "metadata.it could not be worked out"},
		"missing field": {v1alpha1.MetadataRule{Value: "body.x.y"}, map[string]any{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			spec.Endpoints.UserInfo = v1alpha1.EndpointURL(p.URL + "/missing")
			test.rule.Name = "it"
			spec.Metadata = []v1alpha1.MetadataRule{test.rule}
			values, issues := e.resolve(t, connection(spec)).Metadata(t.Context(), token("", test.body), nil, map[string]string{"it": "held", "old": "gone"})
			if diff := cmp.Diff(map[string]string{"it": "held"}, values); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(issues, "; "); !strings.HasPrefix(got, test.want) || strings.Contains(got, hostile) || (test.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// regional is a provider whose hosts depend on what its callback says.
func regional() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{
		Endpoints: &v1alpha1.Endpoints{
			Authorization: "https://idp.example/authorize",
			Token:         "https://accounts.{dc}.example/token",
			Refresh:       "https://{shard}.example/refresh",
			Revocation:    "https://{shard}.example/revoke/{token}?client={client_id}",
		},
		Metadata: []v1alpha1.MetadataRule{
			{Name: "dc", Value: "callback.location", Pattern: "[a-z.]{2,20}"},
			{Name: "shard", Value: "body.shard", Pattern: ".*"},
		},
	}
}

func TestEndpointsAreFilledFromMetadata(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	resolved := e.resolve(t, connection(regional()))
	first, err := resolved.For(map[string]string{"dc": "eu"})
	if err != nil {
		t.Fatal(err)
	}
	if first.Endpoints.Token != "https://accounts.eu.example/token" || first.Endpoints.Revocation != "" || first.Endpoints.Refresh == "" {
		t.Errorf("before an answer: %+v", first.Endpoints)
	}
	first.HTTP = &http.Client{Transport: refusing{t}}
	if _, err := first.Refresh(t.Context(), &oauth.Token{RefreshToken: oauth.NewSecret("r")}); err == nil {
		t.Error("a refresh token has somewhere to go although its address is not known")
	}
	all, err := resolved.For(map[string]string{"dc": "eu", "shard": "s-1"})
	if err != nil {
		t.Fatal(err)
	}
	if all.Endpoints.Refresh != "https://s-1.example/refresh" || all.Endpoints.Revocation != "https://s-1.example/revoke/{token}?client={client_id}" {
		t.Errorf("after it: %+v", all.Endpoints)
	}
	if err := resolved.Renewable(map[string]string{"shard": "s-1"}); err != nil {
		t.Error(err)
	}
	wantError(t, resolved.Renewable(nil), v1alpha1.ReasonProviderInvalid, "spec.provider.endpoints.refresh:", "metadata[shard].value")
	_, err = resolved.For(nil)
	wantError(t, err, v1alpha1.ReasonProviderInvalid, "spec.provider.endpoints.token:", "dc")
}

type refusing struct{ t *testing.T }

func (r refusing) RoundTrip(*http.Request) (*http.Response, error) {
	r.t.Error("a request was made")
	return nil, http.ErrServerClosed
}

func TestMetadataNeverLeadsWhereItsPatternDoesNot(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	spec := regional()
	spec.Endpoints.Token, spec.Endpoints.Refresh = "https://{shard}.example/token", ""
	resolved := e.resolve(t, connection(spec))
	for _, value := range []string{"evil.example/", "evil.example#", "evil.example?", "a@evil", "a%2f", "..", "a..b", "a b", "{dc}", "é", "a\\b", hostile} {
		c, err := resolved.For(map[string]string{"shard": value})
		if err == nil {
			t.Errorf("%q gives %s", value, c.Endpoints.Token)
			continue
		}
		wantError(t, err, v1alpha1.ReasonProviderInvalid, "endpoints.token")
	}
	spec.Endpoints.Token = "https://{shard}/token"
	resolved = e.resolve(t, connection(spec))
	for _, value := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254"} {
		_, err := resolved.For(map[string]string{"shard": value})
		wantError(t, err, v1alpha1.ReasonEndpointNotAllowed, "endpoints.token")
	}
}

func TestPlaceholdersThatNothingFillsAreRefused(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	rules := []v1alpha1.MetadataRule{{Name: "dc", Value: "callback.dc", Pattern: "eu"}, {Name: "free", Value: "callback.free"}}
	for name, test := range map[string]struct {
		change func(*v1alpha1.ProviderSpec)
		words  []string
	}{
		"nobody declared it":   {func(s *v1alpha1.ProviderSpec) { s.Endpoints.Token = "https://{tenant}.example/" }, []string{"endpoints.token:", "{tenant}", "a placeholder nobody declared"}},
		"in an audience":       {func(s *v1alpha1.ProviderSpec) { s.AssertionAudience = "https://{tenant}/" }, []string{"assertionAudience:", "{tenant}"}},
		"without a pattern":    {func(s *v1alpha1.ProviderSpec) { s.Endpoints.Token = "https://{free}.example/" }, []string{"endpoints.token:", "{free}", "pattern"}},
		"before consent":       {func(s *v1alpha1.ProviderSpec) { s.Endpoints.Authorization = "https://{dc}.example/" }, []string{"endpoints.authorization:", "{dc}", "consent"}},
		"an issuer":            {func(s *v1alpha1.ProviderSpec) { s.Issuer = "https://{dc}.example/" }, []string{"issuer:", "{dc}"}},
		"a token elsewhere":    {func(s *v1alpha1.ProviderSpec) { s.Endpoints.UserInfo = "https://idp.example/{token}" }, []string{"endpoints.userInfo:", "{token}"}},
		"a token for a host":   {func(s *v1alpha1.ProviderSpec) { s.Endpoints.Revocation = "https://{token}.idp.example/" }, []string{"endpoints.revocation:", "{token}"}},
		"braces that are none": {func(s *v1alpha1.ProviderSpec) { s.Endpoints.Token = "https://idp.example/{" }, []string{"endpoints.token:"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := plain()
			spec.Metadata = rules
			test.change(&spec)
			e.refused(t, connection(spec), v1alpha1.ReasonProviderInvalid, test.words...)
		})
	}
	spec := plain()
	spec.Metadata = rules
	spec.Endpoints.Revocation = "https://idp.example/{token}?id={client_id}&dc={dc}"
	if got := e.resolve(t, connection(spec)).Endpoints.Revocation; got != string(spec.Endpoints.Revocation) {
		t.Errorf("got %s", got)
	}
}
