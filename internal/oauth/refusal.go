// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"strings"
)

// refusal classifies an answer that says no, by the table of the design. The HTTP status of an
// overloaded or failing provider outweighs the code, because neither may end a grant; a rule that names
// this very answer knows better.
func (c *Client) refusal(rec *recorder, code, description string) *Error {
	e := &Error{Status: rec.status, RetryAfter: rec.retryAfter(c.now())}
	kind := kindOf(code)
	if kind != 0 {
		e.Code = code
	}
	rule, ruled := c.rule(code, description)
	if ruled && !ofDeviceGrant(code) {
		e.Code = rule.label()
	}
	if rule.Kind != 0 {
		kind = rule.Kind
	}
	switch {
	case rule.Kind == Reauthorize, rule.Kind == ClientRejected, rule.Kind == Misconfigured:
		e.Kind = kind
	case rec.status == http.StatusTooManyRequests:
		e.Kind = Throttled
	case rec.status >= 500, rec.status == http.StatusRequestTimeout, rec.status == http.StatusTooEarly:
		e.Kind = Transient
	case kind != 0:
		e.Kind = kind
	case rec.status == http.StatusForbidden:
		e.Kind = Throttled
	default:
		e.Kind = Unexpected
	}
	e.Cause = e.Kind.cause()
	return e
}

func (k Kind) cause() string {
	switch k {
	case Transient:
		return "the provider failed"
	case Throttled:
		return "the provider asked to wait"
	case Reauthorize:
		return "the provider ended the grant"
	case ClientRejected:
		return "the provider refused the client's credentials"
	case Misconfigured:
		return "the provider refused the request"
	}
	return "the provider's answer is not an OAuth answer"
}

// ErrorRule tells what a refusal means.
type ErrorRule struct {
	// Code is the answer's error; empty: any.
	Code string
	// Contains is a text within error_description; empty: any.
	Contains string
	// Kind takes the place of what the code means; zero: it does not.
	Kind Kind
	// Cause and Next are for people: what happened and what to do.
	Cause, Next string
}

// label is the Code of errors that a rule matched: the words of the rule, not the provider's.
func (r ErrorRule) label() string {
	if r.Contains != "" {
		return r.Contains
	}
	return r.Code
}

func (c *Client) rule(code, description string) (ErrorRule, bool) {
	for _, rule := range c.Errors {
		if (rule.Code == "" || rule.Code == code) && strings.Contains(description, rule.Contains) && rule.label() != "" {
			return rule, true
		}
	}
	return ErrorRule{}, false
}

// Explain finds the rule that gave an error its Code.
func (c *Client) Explain(code string) (ErrorRule, bool) {
	for _, rule := range c.Errors {
		if code != "" && rule.label() == code {
			return rule, true
		}
	}
	return ErrorRule{}, false
}
