// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestIntrospectionTellsOfAToken(t *testing.T) {
	tests := map[string]struct {
		body string
		want oauth.Introspection
	}{
		"active":       {`{"active":true,"exp":1767323045,"scope":"a b"}`, oauth.Introspection{Active: true, Expiry: now(), Scopes: []string{"a", "b"}}},
		"no expiry":    {`{"active":true}`, oauth.Introspection{Active: true}},
		"as a text":    {`{"active":"true","exp":"soon"}`, oauth.Introspection{Active: true}},
		"milliseconds": {`{"active":true,"exp":1767323045000}`, oauth.Introspection{Active: true}},
		"negative":     {`{"active":true,"exp":-1}`, oauth.Introspection{Active: true}},
		"inactive":     {`{"active":false,"exp":1767323045,"scope":"a"}`, oauth.Introspection{}},
		"odd":          {`{"active":1}`, oauth.Introspection{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, calls := scripted(t, answer(200, jsonType, test.body))
			got, err := c.Introspect(t.Context(), oauth.NewSecret("access"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Error(diff)
			}
			asked := only(t, calls)
			want := map[string]string{"token": "access", "token_type_hint": "access_token"}
			if diff := cmp.Diff(want, asked.params); diff != "" || asked.address != "/introspect" || asked.user != "id" {
				t.Errorf("%+v %s", asked, diff)
			}
		})
	}
}

func TestIntrospectionThatFailsIsClassified(t *testing.T) {
	for body, kind := range map[string]oauth.Kind{
		page: oauth.Unexpected, `{}`: oauth.Unexpected, `{"active":null}`: oauth.Unexpected, `{"error":"invalid_client"}`: oauth.ClientRejected,
	} {
		c, _ := scripted(t, answer(200, jsonType, body))
		_, err := c.Introspect(t.Context(), oauth.NewSecret(sentinel))
		wantKind(t, err, kind)
	}
	c := server(t, answer(200, jsonType, `{"active":true}`))
	_, err := c.Introspect(t.Context(), oauth.NewSecret(sentinel))
	wantKind(t, err, oauth.Misconfigured)
}

func TestARefreshTokenIsAskedAboutAsOne(t *testing.T) {
	for body, want := range map[string]bool{`{"active":true}`: true, `{"active":false}`: false} {
		c, calls := scripted(t, answer(200, jsonType, body))
		got, err := c.IntrospectRefreshToken(t.Context(), oauth.NewSecret("refresh"))
		if err != nil || got.Active != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
		hint := map[string]string{"token": "refresh", "token_type_hint": "refresh_token"}
		if diff := cmp.Diff(hint, only(t, calls).params); diff != "" {
			t.Error(diff)
		}
	}
}
