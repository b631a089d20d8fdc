// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// doubled repeats a step that makes twice as much of a list without holding it twice.
func doubled(start, step, use string) string {
	return start + strings.Repeat(step, 24) + use
}

func TestExpressionsThatDoubleAreStopped(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for name, expression := range map[string]string{
		"a list compared": doubled("[[2]]", ".map(a,a+a)", ".all(a,a==a)?'a':'b'"),
		"a list searched": "1 in " + doubled("[[2]]", ".map(a,a+a)", "[0]?'a':'b'"),
		"nested lists":    doubled("[1]", ".map(a,[a,a])", ".all(a,a==a)?'a':'b'"),
		"nested objects":  doubled("[1]", ".map(a,{1:a,2:a})", ".all(a,a==a)?'a':'b'"),
	} {
		spec := plain()
		spec.Account = expression
		resolved := e.resolve(t, connection(spec))
		started := time.Now()
		got, err := resolved.Account(t.Context(), token("", nil), nil)
		if took := time.Since(started); got != "" || err == nil || took > 500*time.Millisecond {
			t.Errorf("%s: %q, %v after %s", name, got, err, took)
		}
	}
}

func TestAListWithoutEndIsNoScope(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	spec := plain()
	spec.TokenResponse = &v1alpha1.TokenResponseRules{Scope: v1alpha1.Expression(doubled("[['a']]", ".map(a,a+a)", "[0]"))}
	read := e.resolve(t, connection(spec)).Dialect.Read(oauth.Answer{Status: http.StatusOK, Body: map[string]any{"access_token": "x"}})
	if list, _ := read.Body["scope"].([]any); len(list) > 0 || len(read.Issues) != 1 {
		t.Errorf("%d scopes, %v", len(list), read.Issues)
	}
}

func TestPatternsAreShortAndWrittenOut(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for expression, wanted := range map[string]string{
		`idToken.x.matches(body.pattern) ? 'a' : 'b'`:                                           "written out",
		`matches(idToken.x, 'a' + body.pattern) ? 'a' : 'b'`:                                    "written out",
		`idToken.x.matches('` + strings.Repeat("(?:a?){1000}", 35) + `') ? 'a' : 'b'`:           "exceeds limit",
		`userInfo.x.exists(x, x.matches('` + strings.Repeat(`\\pL{1000}`, 30) + `')) ? '' : ''`: "exceeds limit",
	} {
		spec := plain()
		spec.Account = expression
		_, err := e.Connection(t.Context(), connection(spec))
		if refused, ok := errors.AsType[*provider.Error](err); !ok || !strings.Contains(refused.Message, wanted) {
			t.Errorf("%.60s: %v", expression, err)
		}
	}
	spec := plain()
	spec.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: strings.Repeat("(?:a?){1000}", 20)}}
	if _, err := e.Connection(t.Context(), connection(spec)); err == nil || !strings.Contains(err.Error(), "metadata[x].pattern") {
		t.Errorf("a pattern of 40000 steps is taken: %v", err)
	}
	spec = plain()
	spec.Account = `idToken.email.matches('^[a-z0-9.]{1,64}@example[.]com$') ? idToken.email : ''`
	spec.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,8}`}}
	e.resolve(t, connection(spec))
}

func TestAnAnswerMayBeLargeAndDeep(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	list, deep := make([]any, 20_000), any("octocat")
	for i := range list {
		list[i] = "x"
	}
	for range 30 {
		deep = map[string]any{"a": deep}
	}
	spec := plain()
	spec.Account = "body.list[19999] == 'x' && size(body.list) == 20000 ? body" + strings.Repeat(".a", 31) + " : ''"
	got, err := e.resolve(t, connection(spec)).Account(t.Context(), token("", map[string]any{"list": list, "a": deep}), nil)
	if got != "octocat" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
