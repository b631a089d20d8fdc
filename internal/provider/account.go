// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"cel.dev/cel-go/cel"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// accountCost bounds an expression. A field of a token costs less than ten.
	accountCost = 10_000
	// accountTime bounds it as well, without the wait for userInfo: to compare two deep values costs
	// nothing and takes milliseconds. A usual expression takes microseconds.
	accountTime = 500 * time.Millisecond
	maxAccount  = 256

	userInfoTimeout = 10 * time.Second
	maxUserInfo     = 1 << 20
)

// errUserInfo holds no cause: it would be the provider's text, or the address with its query.
var errUserInfo = errors.New("the provider's userInfo endpoint gave no answer that could be read")

// program is a compiled account expression.
type program struct{ cel.Program }

// accounts compiles account expressions and keeps them.
type accounts struct {
	env   *cel.Env
	cache *lru.Cache[string, *program]
}

func newAccounts() (*accounts, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	env, err := cel.NewEnv(
		cel.Variable("idToken", object), cel.Variable("userInfo", object), cel.Variable("body", object),
		cel.Variable("callback", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[string, *program](cachedPrograms)
	return &accounts{env: env, cache: cache}, err
}

// compile returns nil for the empty expression.
func (a *accounts) compile(expression string) (*program, error) {
	if expression == "" {
		return nil, nil
	}
	if p, found := a.cache.Get(expression); found {
		return p, nil
	}
	ast, issues := a.env.Compile(expression)
	if issues.Err() != nil {
		return nil, errors.New(issues.Errors()[0].Message)
	}
	if t := ast.OutputType(); !t.IsExactType(cel.StringType) && !t.IsExactType(cel.DynType) {
		return nil, errors.New("it gives " + t.String())
	}
	compiled, err := a.env.Program(ast, cel.CostLimit(accountCost), cel.EvalOptions(cel.OptTrackCost), cel.InterruptCheckFrequency(1))
	if err != nil {
		return nil, err
	}
	p := &program{compiled}
	a.cache.Add(expression, p)
	return p, nil
}

// Account names the account behind a fresh token answer in at most 256 printable characters, or
// gives "" where it cannot be told. Without an account expression it is the ID token's email, unless
// that is not verified, preferred_username or sub. callback is the redirect's query. An error means
// only that the provider's userInfo endpoint did not answer: the token is good nonetheless.
func (r *Resolved) Account(ctx context.Context, token *oauth.Token, callback map[string]string) (string, error) {
	claims := token.Claims()
	if r.account == nil {
		for _, name := range []string{"email", "preferred_username", "sub"} {
			if name == "email" && claims["email_verified"] == false {
				continue // anybody can say that it is theirs
			}
			if text, ok := claims[name].(string); ok && text != "" {
				return printable(text, maxAccount), nil
			}
		}
		return "", nil
	}
	var failed error
	timed, cancel := context.WithCancel(ctx)
	defer cancel()
	over := time.AfterFunc(accountTime, cancel)
	defer over.Stop()
	result, _, err := r.account.ContextEval(timed, map[string]any{
		"idToken":  object(claims),
		"body":     object(token.Body),
		"callback": callback,
		// Evaluated, and so fetched, only where the expression comes to it.
		"userInfo": func() any {
			over.Stop()
			defer over.Reset(accountTime)
			var found map[string]any
			found, failed = r.userInfo(ctx, token)
			return object(found)
		},
	})
	if failed != nil {
		return "", failed
	}
	name := ""
	if err == nil { // else a field is missing, or the expression takes too much
		name, _ = result.Value().(string)
	}
	return printable(name, maxAccount), nil
}

func (r *Resolved) userInfo(ctx context.Context, token *oauth.Token) (map[string]any, error) {
	if r.Endpoints.UserInfo == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, userInfoTimeout)
	defer cancel()
	resp, err := getJSON(ctx, r.HTTP, r.Endpoints.UserInfo, token.TokenType+" "+token.AccessToken.Reveal())
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

// object gives CEL whole numbers as such, so that string(userInfo.id) is not 1.234567e+06.
func object(found map[string]any) map[string]any {
	result := make(map[string]any, len(found))
	for name, value := range found {
		result[name] = number(value)
	}
	return result
}

func number(value any) any {
	switch v := value.(type) {
	case float64:
		if whole := math.Trunc(v); whole == v && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case map[string]any:
		return object(v)
	}
	return value
}
