// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	maxAccount = 256

	userInfoTimeout = 10 * time.Second
	maxUserInfo     = 1 << 20
)

// errUserInfo holds no cause: it would be the provider's text, or the address with its query.
var errUserInfo = errors.New("the provider's userInfo endpoint gave no answer that could be read")

// Account names the account behind a fresh token answer in at most 256 printable characters, or
// gives "" where it cannot be told. Without an account expression it is the ID token's email, unless
// that is not verified, preferred_username or sub. callback is the redirect's query. An error means
// only that the provider's userInfo endpoint did not answer or, as an *AccountError, that the expression
// gave no text: the token is good nonetheless.
func (r *Resolved) Account(ctx context.Context, token *oauth.Token, callback map[string]string) (string, error) {
	if r.account == nil {
		return accountOf(token.Claims()), nil
	}
	f := r.facts(token, callback, func(ctx context.Context) (map[string]any, error) {
		// What the address of userInfo may need was learnt a moment ago, if at all.
		known, _ := r.metadata(ctx, r.facts(token, callback, nothing), nil)
		return r.userInfo(ctx, token, known)
	})
	value, issue, err := f.eval(ctx, r.account)
	name, isText := value.(types.String)
	switch {
	case err != nil:
		return "", err
	case issue != "":
		return "", &AccountError{"account " + issue}
	case value != nil && !isText:
		return "", &AccountError{"account gave " + kindOfValue(value) + " instead of a text"}
	}
	return printable(string(name), maxAccount), nil // empty where a field is missing
}

// AccountError means that a description's account expression does not fit the provider's answer.
type AccountError struct {
	// Issue is in fixed words.
	Issue string
}

// Error returns the issue.
func (e *AccountError) Error() string { return e.Issue }

func accountOf(claims map[string]any) string {
	for _, name := range []string{"email", "preferred_username", "sub"} {
		if name == "email" && claims["email_verified"] == false {
			continue // anybody can say that it is theirs
		}
		if text, ok := claims[name].(string); ok && text != "" {
			return printable(text, maxAccount)
		}
	}
	return ""
}

// facts are what expressions about a token answer speak of.
type facts struct {
	vars     map[string]any
	userInfo func(context.Context) (map[string]any, error)
}

func (r *Resolved) facts(token *oauth.Token, callback map[string]string, userInfo func(context.Context) (map[string]any, error)) *facts {
	if callback == nil {
		callback = map[string]string{}
	}
	return &facts{userInfo: userInfo, vars: map[string]any{
		"idToken":  object(token.Claims()),
		"body":     object(token.Body),
		"headers":  headers(token.Header),
		"callback": callback,
	}}
}

func nothing(context.Context) (map[string]any, error) { return nil, nil }

// eval asks for userInfo only where the expression comes to it; the wait does not count as the
// expression's. err is that the provider did not answer.
func (f *facts) eval(ctx context.Context, p *program) (value ref.Val, issue string, err error) {
	timed, cancel := context.WithCancel(ctx)
	defer cancel()
	over := time.AfterFunc(expressionTime, cancel)
	defer over.Stop()
	f.vars["userInfo"] = func() any {
		over.Stop()
		defer over.Reset(expressionTime)
		var found map[string]any
		found, err = f.userInfo(ctx)
		return object(found)
	}
	value, issue = p.eval(timed, f.vars)
	if err != nil {
		return nil, "", err
	}
	return value, issue, nil
}

func (r *Resolved) userInfo(ctx context.Context, token *oauth.Token, known map[string]string) (map[string]any, error) {
	if r.Endpoints.UserInfo == "" || token.AccessToken.IsZero() {
		return nil, nil
	}
	address, err := r.filled(userInfoField, r.Endpoints.UserInfo, known)
	if err != nil {
		return nil, errUserInfo
	}
	ctx, cancel := context.WithTimeout(ctx, userInfoTimeout)
	defer cancel()
	resp, err := getJSON(ctx, r.HTTP, address, token.TokenType+" "+token.AccessToken.Reveal())
	if err != nil {
		return nil, errUserInfo
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxUserInfo))
	var found map[string]any
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &found) != nil {
		return nil, errUserInfo
	}
	return found, nil
}
