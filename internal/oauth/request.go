// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// requestTimeout bounds one POST, from connecting to the last byte of the answer.
const requestTimeout = 30 * time.Second

// askToken sends one token request and reads its answer. It is detached from the caller's
// cancellation: a request that has left must be heard out.
//
// clientcredentials.Config is used for every grant, because it takes any grant_type and parameters.
// Of its result only the request matters: it would refuse, say, an expires_in of 3599.5 or JSON
// labelled text/plain, and a rotated refresh token would be lost with them.
func (c *Client) askToken(ctx context.Context, grantType string, params map[string]string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	values := url.Values{}
	for _, set := range []map[string]string{c.TokenParams, params, {"grant_type": grantType}} {
		for name, value := range set {
			values.Set(name, value)
		}
	}
	config := clientcredentials.Config{
		ClientID:       c.ID,
		ClientSecret:   c.Secret.Reveal(),
		TokenURL:       c.Endpoints.Token,
		AuthStyle:      c.authStyle(),
		EndpointParams: values,
	}
	rec := c.record()
	_, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client(rec)))
	if rec.status == 0 {
		return nil, noAnswer(rec, err)
	}
	return readToken(rec, c.now())
}

// record has no transport to fall back on: http.DefaultTransport is not guarded.
func (c *Client) record() *recorder {
	return &recorder{next: c.HTTP.Transport}
}

// client never follows a redirect: 307 and 308 would send the secret to another host.
func client(rec *recorder) *http.Client {
	return &http.Client{Transport: rec, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// authStyle is always pinned: auto-detection sends a request twice and spends what it holds.
func (c *Client) authStyle() oauth2.AuthStyle {
	if c.Authentication == Post || c.Authentication == None {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

func (c *Client) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}

// noAnswer classifies a request that got no answer. err is what the HTTP client returned.
func noAnswer(rec *recorder, err error) error {
	var guard interface{ Blocked() bool }
	switch {
	case rec.sent.Load():
		return &Error{Kind: Ambiguous, Cause: "the request was sent and no answer came"}
	case errors.As(err, &guard) && guard.Blocked():
		return &Error{Kind: Blocked, Cause: "the operator may not connect to this address"}
	case rec.err == nil:
		return &Error{Kind: Misconfigured, Cause: "the endpoint's address cannot be used"}
	}
	return &Error{Kind: Unreachable, Cause: "the provider could not be reached"}
}

// readToken returns the body of a token answer, or why there is none.
func readToken(rec *recorder, now time.Time) (map[string]any, error) {
	body := parseBody(rec.body)
	success := rec.status >= 200 && rec.status <= 299
	if success && text(body, "access_token") != "" {
		return body, nil
	}
	if success && (rec.err != nil || !namesError(body)) {
		return nil, &Error{Kind: Ambiguous, Status: rec.status, Cause: "the answer holds no token that could be read"}
	}
	return nil, refusal(rec, body, now)
}

// refusal classifies an answer that says no, by the table of the design. The HTTP status of an
// overloaded or failing provider outweighs the code: neither may end a grant.
func refusal(rec *recorder, body map[string]any, now time.Time) *Error {
	e := &Error{Status: rec.status, RetryAfter: rec.retryAfter(now)}
	code := text(body, "error")
	kind := kindOf(code)
	if kind != 0 {
		e.Code = code
	}
	switch {
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
