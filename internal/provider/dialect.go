// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// responseField is one expression of a description's tokenResponse.
type responseField struct {
	name       string
	expression *v1alpha1.Expression
	// standard is the name in RFC 6749 section 5.
	standard string
	gives    output
}

// output is what an expression has to give.
type output struct {
	words string
	types []*cel.Type
	// read returns nil where the value says nothing, and false where it is not what it has to be.
	read func(value ref.Val, now time.Time) (any, bool)
}

// responseFields lists all of them, always in the same order: a life in seconds comes after the end
// that it takes the place of.
func responseFields(r *v1alpha1.TokenResponseRules) []responseField {
	text := output{"a text", []*cel.Type{cel.StringType}, readText}
	scope := output{"a text or a list of texts", []*cel.Type{cel.StringType, cel.ListType(cel.StringType), cel.ListType(cel.DynType)}, readScope}
	seconds := output{"a number", []*cel.Type{cel.IntType, cel.UintType, cel.DoubleType, cel.StringType}, readSeconds}
	moment := output{momentWords, []*cel.Type{cel.TimestampType, cel.StringType, cel.IntType, cel.UintType, cel.DoubleType}, readMoment}
	return []responseField{
		{"accessToken", &r.AccessToken, accessTokenName, text},
		{"refreshToken", &r.RefreshToken, "refresh_token", text},
		{"tokenType", &r.TokenType, "token_type", text},
		{"idToken", &r.IDToken, "id_token", text},
		{"scope", &r.Scope, "scope", scope},
		{"expiresAt", &r.ExpiresAt, "expires_in", moment},
		{"expiresIn", &r.ExpiresIn, "expires_in", seconds},
		{"refreshTokenExpiresAt", &r.RefreshTokenExpiresAt, "refresh_token_expires_in", moment},
		{"refreshTokenExpiresIn", &r.RefreshTokenExpiresIn, "refresh_token_expires_in", seconds},
		{errorField, &r.Error, "error", text},
		{"errorDescription", &r.ErrorDescription, "error_description", text},
	}
}

const (
	errorField = "error"
	// accessTokenName is RFC 6749's. Every other field may be missing.
	accessTokenName = "access_token"
	absent          = "found nothing in the answer"
	momentWords     = "a time"
)

// translation reads answers of a token endpoint by a description's expressions.
type translation struct {
	fields   []responseField
	programs []*program
	now      func() time.Time
}

// translation is nil where the provider answers as RFC 6749 says.
func (x *expressions) translation(r *v1alpha1.TokenResponseRules, now func() time.Time, at origin) (*translation, error) {
	if r == nil || *r == (v1alpha1.TokenResponseRules{}) {
		return nil, nil
	}
	t := &translation{now: now}
	for _, field := range responseFields(r) {
		compiled, err := x.compile(ofResponse, string(*field.expression), field.gives.types...)
		if err != nil {
			return nil, at.errorf(v1alpha1.ReasonProviderInvalid, "tokenResponse."+field.name,
				"not a CEL expression over body, headers and status that gives %s: %s", field.gives.words, printable(err.Error(), maxShown))
		}
		if compiled != nil {
			t.fields, t.programs = append(t.fields, field), append(t.programs, compiled)
		}
	}
	return t, nil
}

// read puts what the expressions give over the answer's own body. All of them together have the time of
// one.
func (t *translation) read(answer oauth.Answer) oauth.Reading {
	ctx, cancel := context.WithTimeout(context.Background(), expressionTime)
	defer cancel()
	vars := map[string]any{"body": object(answer.Body), "headers": headers(answer.Header), "status": answer.Status}
	reading := oauth.Reading{Body: map[string]any{}}
	maps.Copy(reading.Body, answer.Body)
	for i, field := range t.fields {
		value, issue := t.programs[i].eval(ctx, vars)
		if issue == "" && value != nil {
			read, ok := field.gives.read(value, t.now())
			switch {
			case !ok:
				issue = mismatch(value, field.gives.words)
			case field.name == errorField && read == nil:
				delete(reading.Body, field.standard) // the expression has said that it is none
			case read != nil:
				reading.Body[field.standard] = read
			}
		}
		if issue == "" && field.standard == accessTokenName && reading.Body[accessTokenName] == nil {
			issue = absent
		}
		if issue != "" {
			reading.Issues = append(reading.Issues, "tokenResponse."+field.name+" "+issue)
			// What stands under the name of RFC 6749 is what the expression was to correct: milliseconds, or
			// a token of somebody else. A refresh token is not given up for that.
			if field.standard != "refresh_token" {
				delete(reading.Body, field.standard)
			}
		}
	}
	return reading
}

func mismatch(value ref.Val, words string) string {
	kind := kindOfValue(value)
	if number, ok := numeric(value); ok && number > lastMoment && words == momentWords {
		return "gave a number that is no time in seconds since 1970 (milliseconds? divide them by 1000)"
	}
	if kind == "a text" {
		return "gave a text that is not " + words
	}
	return "gave " + kind + " instead of " + words
}

// headers are an answer's by their names in lower case.
func headers(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return m
}

func readText(value ref.Val, _ time.Time) (any, bool) {
	text, ok := value.(types.String)
	if !ok || text == "" {
		return nil, ok
	}
	return string(text), true
}

func readScope(value ref.Val, now time.Time) (any, bool) {
	list, ok := value.(traits.Lister)
	if !ok {
		return readText(value, now)
	}
	scopes := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		scope, ok := it.Next().(types.String)
		if !ok {
			return nil, false
		}
		scopes = append(scopes, string(scope))
	}
	return scopes, true
}

func readSeconds(value ref.Val, _ time.Time) (any, bool) {
	if text, ok := value.(types.String); ok {
		if text == "" {
			return nil, true
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		return seconds, err == nil && !math.IsNaN(seconds) && !math.IsInf(seconds, 0)
	}
	seconds, ok := numeric(value)
	return seconds, ok
}

// lastMoment is in the year 5138. What is later are milliseconds, and a token that is taken to live so
// long is never renewed.
const lastMoment = 1e11

// readMoment gives the seconds until then. No provider's token ends in 1970, so zero says nothing; what
// is past has ended a moment ago rather than never.
func readMoment(value ref.Val, now time.Time) (any, bool) {
	var end time.Time
	switch v := value.(type) {
	case types.Timestamp:
		end = v.Time
	case types.String:
		if v == "" {
			return nil, true
		}
		var err error
		if end, err = time.Parse(time.RFC3339, strings.TrimSpace(string(v))); err != nil {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(string(v)), 64)
			if err != nil {
				return nil, false
			}
			return readMoment(types.Double(seconds), now)
		}
	default:
		unix, ok := numeric(value)
		if !ok || unix == 0 {
			return nil, ok
		}
		if unix > lastMoment {
			return nil, false
		}
		return max(unix-float64(now.Unix()), 1), true
	}
	return max(end.Sub(now).Seconds(), 1), true
}
