// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// translated answers with a body and reads it by a translation.
func translated(t *testing.T, status int, body string, read func(oauth.Answer) oauth.Reading) *oauth.Client {
	t.Helper()
	c := server(t, answer(status, jsonType, body, "X-Instance", "eu1"))
	c.Dialect.Read = read
	return c
}

func reads(body map[string]any, issues ...string) func(oauth.Answer) oauth.Reading {
	return func(oauth.Answer) oauth.Reading { return oauth.Reading{Body: body, Issues: issues} }
}

func TestAnAnswerIsReadInTheProvidersWords(t *testing.T) {
	c := translated(t, 200, `{"ok":true,"data":{"token":"new","renew":"rotated","ms":90000,"scope":"a,b"}}`, func(a oauth.Answer) oauth.Reading {
		if a.Status != 200 || a.Header.Get("X-Instance") != "eu1" {
			t.Errorf("the translation sees %+v", a)
		}
		data := a.Body["data"].(map[string]any)
		return oauth.Reading{Issues: []string{"tokenResponse.idToken gave a list instead of a text"}, Body: map[string]any{
			"access_token": data["token"], "refresh_token": data["renew"], "scope": []string{"a", "b"},
			"expires_in": int64(data["ms"].(float64)) / 1000, "refresh_token_expires_in": uint64(3600),
		}}
	})
	token, err := c.Refresh(t.Context(), held())
	if err != nil {
		t.Fatal(err)
	}
	if token.Body["ok"] != true || token.Header.Get("X-Instance") != "eu1" {
		t.Errorf("body %v and header %v are not the provider's", token.Body, token.Header)
	}
	token.Body, token.Header = nil, nil
	if diff := cmp.Diff(&oauth.Token{
		AccessToken: oauth.NewSecret("new"), RefreshToken: oauth.NewSecret("rotated"), TokenType: "Bearer",
		Obtained: now(), Expiry: now().Add(90 * time.Second), RefreshTokenExpiry: now().Add(time.Hour),
		Scopes: []string{"a", "b"}, Issues: []string{"tokenResponse.idToken gave a list instead of a text"},
	}, token); diff != "" {
		t.Error(diff)
	}
}

// TestNoTranslationLosesARefreshToken gives every odd type for every field, beside an answer that has
// rotated the refresh token under the RFC's name.
func TestNoTranslationLosesARefreshToken(t *testing.T) {
	odd := []any{nil, true, []any{1, nil}, map[string]any{"a": 1}, []byte("x"), now(), time.Hour, func() {}, 7, 1.5, struct{}{}}
	fields := []string{"refresh_token", "id_token", "token_type", "scope", "expires_in", "refresh_token_expires_in", "error"}
	const rotated = `{"access_token":"new","refresh_token":"rotated","error":""}`
	for _, value := range odd {
		for _, field := range fields {
			kind := fmt.Sprintf("%T", value)
			body := map[string]any{"access_token": "new", "refresh_token": "rotated", field: value}
			token, err := translated(t, 200, rotated, reads(body)).Refresh(t.Context(), held())
			if err != nil || token.AccessToken.Reveal() != "new" {
				t.Fatalf("%s as %s: %v", field, kind, err)
			}
			if got := token.RefreshToken.Reveal(); got != "rotated" {
				t.Errorf("%s as %s: the refresh token is %q", field, kind, got)
			}
			checkToken(t, token)
		}
	}
}

func TestTokensMayBeNumbers(t *testing.T) {
	for _, number := range []any{12345.0, int64(12345), uint64(12345)} {
		c := translated(t, 200, `{}`, reads(map[string]any{"access_token": number, "refresh_token": number}))
		token, err := c.Refresh(t.Context(), held())
		if err != nil || token.AccessToken.Reveal() != "12345" || token.RefreshToken.Reveal() != "12345" {
			t.Errorf("%T: %v, %v", number, token, err)
		}
	}
}

func TestATranslationThatFailsLeavesTheAnswerAsItIs(t *testing.T) {
	for name, read := range map[string]func(oauth.Answer) oauth.Reading{
		"panics":        func(a oauth.Answer) oauth.Reading { return oauth.Reading{Body: a.Body["missing"].(map[string]any)} },
		"gives nothing": reads(nil),
	} {
		token, err := translated(t, 200, `{"access_token":"new","refresh_token":"rotated"}`, read).Refresh(t.Context(), held())
		if err != nil || token.RefreshToken.Reveal() != "rotated" || (len(token.Issues) == 1) != (name == "panics") {
			t.Errorf("%s: %v, %v", name, token, err)
		}
	}
}

func TestARefreshTokenIsKeptThoughTheAccessTokenCannotBeRead(t *testing.T) {
	issue := "tokenResponse.accessToken gave a map instead of a text"
	for name, reading := range map[string]map[string]any{
		"translated":      {"access_token": map[string]any{}, "refresh_token": "rotated", "refresh_token_expires_in": 60},
		"under RFC names": {"access_token": nil},
	} {
		c := translated(t, 200, `{"access_token":{"v":1},"refresh_token":"rotated"}`, reads(reading, issue))
		before := held()
		token, err := c.Refresh(t.Context(), before)
		if e := wantKind(t, err, oauth.Ambiguous); !cmp.Equal(e.Issues, []string{issue}) {
			t.Errorf("%s: the issues are %q", name, e.Issues)
		}
		if token == nil || token.RefreshToken.Reveal() != "rotated" || !token.AccessToken.Equal(before.AccessToken) ||
			!cmp.Equal(token.Issues, []string{issue}) {
			t.Errorf("%s: %+v", name, token)
		}
		first, err := exchange(t, c)
		wantKind(t, err, oauth.Ambiguous)
		if first == nil || first.RefreshToken.Reveal() != "rotated" || !first.AccessToken.IsZero() {
			t.Errorf("%s: %+v", name, first)
		}
	}
	token, err := oauth.ClientCredentials{}.Token(t.Context(), translated(t, 200, `{"refresh_token":"x"}`, nil), nil)
	if wantKind(t, err, oauth.Unexpected); token != nil {
		t.Error("a token that nobody uses")
	}
	_, err = translated(t, 200, `{"hello":1}`, reads(map[string]any{}, issue)).Refresh(t.Context(), held())
	if e := wantKind(t, err, oauth.Ambiguous); !strings.Contains(e.Error(), issue) {
		t.Errorf("the error is %q", e)
	}
}

func TestAFormThatWasCutIsNoToken(t *testing.T) {
	cut := clientOf(func(*http.Request) (*http.Response, error) {
		body := &cutBody{Reader: strings.NewReader("access_token=new&refresh_token=rota")}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
	})
	_, err := registration("http://idp.example", cut).Refresh(t.Context(), held())
	wantKind(t, err, oauth.Ambiguous)
	long := "access_token=new&pad=" + strings.Repeat("x", 1<<20) + "&refresh_token=rotated"
	_, err = server(t, answer(200, formType, long)).Refresh(t.Context(), held())
	wantKind(t, err, oauth.Ambiguous)
}

type cutBody struct{ *strings.Reader }

func (b *cutBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = http.ErrHandlerTimeout
	}
	return n, err
}

func (*cutBody) Close() error { return nil }

func TestErrorsInsideASuccessAreErrorsUnlessThereIsAToken(t *testing.T) {
	slack := func(a oauth.Answer) oauth.Reading {
		body := map[string]any{"access_token": a.Body["token"]}
		if a.Body["ok"] != true {
			body["error"] = a.Body["why"]
		}
		return oauth.Reading{Body: body}
	}
	_, err := translated(t, 200, `{"ok":false,"why":"invalid_grant"}`, slack).Refresh(t.Context(), held())
	if e := wantKind(t, err, oauth.Reauthorize); e.Code != "invalid_grant" || e.Status != 200 {
		t.Errorf("got %+v", e)
	}
	token, err := translated(t, 200, `{"ok":false,"why":"invalid_grant","token":"new"}`, slack).Refresh(t.Context(), held())
	if err != nil || token.AccessToken.Reveal() != "new" {
		t.Errorf("got %v, %v", token, err)
	}
	// An expression made for 200 does not hide what the RFC's names say elsewhere.
	_, err = translated(t, 400, `{"error":"invalid_client"}`, reads(map[string]any{"error": ""})).Refresh(t.Context(), held())
	wantKind(t, err, oauth.ClientRejected)
}
