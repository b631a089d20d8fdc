// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxLifetime bounds what a provider may say about a token's life.
	maxLifetime = 10 * 365 * 24 * time.Hour
	// maxScopes and maxScope bound the scopes that are kept of an answer.
	maxScopes, maxScope = 64, 256
	maxTokenType        = 256

	// MaxToken is how long a token can be, in bytes: three of them, and what goes with them, fit into a Secret
	// however they are written down.
	MaxToken = 32 << 10
)

// isObject says whether a body means to be a JSON object.
func isObject(raw []byte) bool { return bytes.HasPrefix(bare(raw), []byte("{")) }

func bare(raw []byte) []byte { return bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\ufeff"))) }

// parseBody reads a JSON object or, where the body is none, a form: some providers answer with a
// form, or label one as the other. It returns nil where it is neither.
func parseBody(raw []byte) map[string]any {
	raw = bare(raw)
	if isObject(raw) {
		var body map[string]any
		if json.Unmarshal(raw, &body) != nil {
			return nil
		}
		return body
	}
	values, err := url.ParseQuery(string(raw))
	if err != nil || len(values) == 0 || bytes.HasPrefix(raw, []byte("<")) {
		return nil
	}
	body := make(map[string]any, len(values))
	for name := range values {
		body[name] = values.Get(name)
	}
	return body
}

func text(body map[string]any, name string) string {
	s, _ := body[name].(string)
	return s
}

// namesError says whether the answer claims an error, in whatever form.
func namesError(body map[string]any) bool {
	value, found := body["error"]
	return found && value != nil && value != "" && value != false
}

// readToken returns the token of an answer, or why there is none. A token beside an error has a new
// refresh token only: callers that keep it have lost nothing.
func (c *Client) readToken(rec *recorder, asked []string) (*Token, error) {
	body := rec.parsed()
	reading := c.read(Answer{Status: rec.status, Header: rec.header, Body: body})
	if !rec.success() {
		return nil, c.refusal(rec, either(reading.Body, body, "error"), either(reading.Body, body, "error_description"))
	}
	t := c.token(reading, body, asked)
	t.Header = rec.header
	switch {
	case !t.AccessToken.IsZero():
		return t, nil
	case rec.err == nil && namesError(reading.Body):
		return nil, c.refusal(rec, text(reading.Body, "error"), text(reading.Body, "error_description"))
	}
	if t.RefreshToken.IsZero() {
		t = nil
	}
	return t, &Error{Kind: Ambiguous, Status: rec.status, Cause: "the answer holds no access token that could be read", Issues: reading.Issues}
}

// read translates an answer. It survives a translation that does not: a refresh token may be in there.
func (c *Client) read(a Answer) (r Reading) {
	if c.Dialect.Read == nil {
		return Reading{Body: a.Body}
	}
	defer func() {
		if recover() != nil {
			r = Reading{Body: a.Body, Issues: []string{"the expressions of tokenResponse failed"}}
		}
	}()
	if r = c.Dialect.Read(a); r.Body == nil {
		r.Body = a.Body
	}
	return r
}

// either reads a text of an answer that the translation may have missed.
func either(translated, original map[string]any, name string) string {
	if s := text(translated, name); s != "" {
		return s
	}
	return text(original, name)
}

// token makes a Token of an answer. Every field may be missing or odd: it is then left out rather than
// the token refused.
func (c *Client) token(reading Reading, original map[string]any, asked []string) *Token {
	body := reading.Body
	t := &Token{
		AccessToken:  NewSecret(tokenText(body["access_token"])),
		RefreshToken: NewSecret(tokenText(body["refresh_token"])),
		IDToken:      NewSecret(text(body, "id_token")),
		TokenType:    tokenType(text(body, "token_type")),
		Obtained:     c.now(),
		Scopes:       grantedScopes(c.separated(body["scope"]), asked),
		Issues:       reading.Issues,
		Body:         original,
	}
	// An expression that gives no text must not cost the refresh token that is there.
	if _, told := body["refresh_token"].(string); !told && t.RefreshToken.IsZero() {
		t.RefreshToken = NewSecret(tokenText(original["refresh_token"]))
	}
	if life := lifetime(body["expires_in"]); life > 0 {
		t.Expiry = t.Obtained.Add(life)
	} else if c.TokenLifetime > 0 {
		t.Expiry = t.Obtained.Add(c.TokenLifetime)
	}
	// Not standardized. The last two are Keycloak's and Intuit's names.
	for _, name := range []string{"refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"} {
		if life := lifetime(body[name]); life > 0 {
			t.RefreshTokenExpiry = t.Obtained.Add(life)
			break
		}
	}
	return t
}

// tokenText reads a token, which some answer as a number.
func tokenText(value any) string {
	switch v := value.(type) {
	case string:
		if len(v) > MaxToken {
			return ""
		}
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 { // a larger one has lost digits
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	}
	return ""
}

// lifetime reads seconds from a number or a text; zero where they are missing or make no sense.
func lifetime(value any) time.Duration {
	var seconds float64
	switch v := value.(type) {
	case float64:
		seconds = v
	case int:
		seconds = float64(v)
	case int64:
		seconds = float64(v)
	case uint64:
		seconds = float64(v)
	case string:
		seconds, _ = strconv.ParseFloat(strings.TrimSpace(v), 64)
	}
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, maxLifetime.Seconds()) * float64(time.Second))
}

// tokenType returns "Bearer" for bearer in any case (RFC 6749 section 7.1: case-insensitive), for a
// missing type, and for one that could not stand in a header.
func tokenType(answered string) string {
	if answered == "" || strings.EqualFold(answered, "bearer") || len(answered) > maxTokenType ||
		strings.ContainsFunc(answered, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "Bearer"
	}
	return answered
}

// separated puts spaces between scopes that come with the separator they are asked for with.
func (c *Client) separated(answered any) any {
	if s, ok := answered.(string); ok && c.ScopeSeparator != "" {
		return strings.ReplaceAll(s, c.ScopeSeparator, " ")
	}
	return answered
}

// grantedScopes reads the scope of an answer, a text or a list. Without one it is as asked (RFC 6749
// section 5.1). Some providers answer with commas whatever they were asked with, so a comma
// separates too, unless an asked scope holds one.
func grantedScopes(answered any, asked []string) []string {
	var parts []string
	switch v := answered.(type) {
	case string:
		comma := !slices.ContainsFunc(asked, func(s string) bool { return strings.Contains(s, ",") })
		parts = strings.FieldsFunc(v, func(r rune) bool { return r <= ' ' || comma && r == ',' })
	case []string:
		parts = v
	case []any:
		for _, item := range v {
			s, _ := item.(string)
			parts = append(parts, s)
		}
	}
	var scopes []string
	for _, part := range parts {
		if isScope(part) && len(scopes) < maxScopes && !slices.Contains(scopes, part) {
			scopes = append(scopes, part)
		}
	}
	if len(scopes) == 0 {
		return slices.Clone(asked)
	}
	return scopes
}

// isScope holds a scope-token to RFC 6749 section 3.3, because scopes are shown in status.
func isScope(s string) bool {
	return s != "" && len(s) <= maxScope && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
