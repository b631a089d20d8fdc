// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"text/template"
)

// functions are what a template can call, besides and, or, not and len. Names and the order of
// arguments are those of sprig, which Helm has made usual. Each pays for what it reads and writes.
func functions(work *meter) template.FuncMap {
	text := func(f func(string) string) func(string) (string, error) {
		return func(s string) (string, error) {
			if err := work.call(len(s)); err != nil {
				return "", err
			}
			out := f(s)
			return out, work.spend(len(out))
		}
	}
	return template.FuncMap{
		"b64enc":   text(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"b64dec":   work.b64dec,
		"urlquery": text(url.QueryEscape),
		"quote":    text(strconv.Quote),
		"lower":    text(strings.ToLower),
		"upper":    text(strings.ToUpper),
		"trim":     text(strings.TrimSpace),
		"join":     work.join,
		"replace":  work.replace,
		"toJson":   work.toJSON,
		"default":  work.fallback,
		"eq":       func(a, b string) (bool, error) { return a == b, work.call(len(a) + len(b)) },
		"ne":       func(a, b string) (bool, error) { return a != b, work.call(len(a) + len(b)) },
	}
}

// call pays for a call with n bytes of arguments.
func (m *meter) call(n int) error { return m.spend(n + 16) }

func (m *meter) b64dec(s string) (string, error) {
	if err := m.call(len(s)); err != nil {
		return "", err
	}
	out, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", errors.New("not base64")
	}
	return string(out), nil
}

func (m *meter) join(separator string, list []string) (string, error) {
	n := len(separator) * len(list)
	for _, s := range list {
		n += len(s)
	}
	if err := m.call(n); err != nil {
		return "", err
	}
	return strings.Join(list, separator), nil
}

// replace pays before it works: one call can multiply a text by thousands.
func (m *meter) replace(before, after, s string) (string, error) {
	if err := m.call(len(s) + strings.Count(s, before)*len(after)); err != nil {
		return "", err
	}
	return strings.ReplaceAll(s, before, after), nil
}

func (m *meter) toJSON(v any) (string, error) {
	switch v.(type) {
	case string, []string, bool, int:
	default:
		return "", errors.New("toJson takes texts, lists of texts, numbers and booleans")
	}
	out, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return string(out), m.call(2 * len(out))
}

// fallback gives the text, or the other where the text is empty.
func (m *meter) fallback(other, s string) (string, error) {
	if err := m.call(0); err != nil {
		return "", err
	}
	if s == "" {
		return other, nil
	}
	return s, nil
}
