// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// requestTimeout bounds one request, from connecting to the last byte of the answer.
const requestTimeout = 30 * time.Second

// send makes one request as the client and hears its answer. params is added to. The error is an *Error
// that says why there is no answer.
//
// clientcredentials.Config makes every request, because it takes any address and parameters. Of its
// result only the request matters: it would refuse, say, an expires_in of 3599.5 or JSON labelled
// text/plain, and a rotated refresh token would be lost with them.
func (c *Client) send(ctx context.Context, address string, params url.Values, w wording) (*recorder, error) {
	// The style is always pinned: auto-detection sends a request twice and spends what it holds.
	config := clientcredentials.Config{TokenURL: address, EndpointParams: params, AuthStyle: oauth2.AuthStyleInParams}
	if !w.anonymous {
		credentials, err := c.credentials(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(params, credentials)
	}
	if !w.anonymous && c.basic() {
		config.ClientID, config.ClientSecret, config.AuthStyle = c.ID, c.Secret.Reveal(), oauth2.AuthStyleInHeader
	}
	if !params.Has("grant_type") {
		params["grant_type"] = nil // no token request: x/oauth2 would set one
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// There is no transport to fall back on: http.DefaultTransport is not guarded.
	rec := &recorder{next: c.HTTP.Transport, wording: w}
	_, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, unredirected(rec)))
	if rec.status == 0 {
		return nil, noAnswer(rec, err)
	}
	return rec, nil
}

// unredirected never follows a redirect: 307 and 308 would send the secret to another host.
func unredirected(rec *recorder) *http.Client {
	return &http.Client{Transport: rec, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
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

// askToken sends one token request and reads its answer. Of params the later ones win. It is detached
// from the caller's cancellation: a request that has left must be heard out. asked are the scopes that
// hold where the answer has none. A token beside an error has a new refresh token only.
func (c *Client) askToken(ctx context.Context, address string, asked []string, params ...map[string]string) (*Token, error) {
	values := url.Values{}
	for _, set := range append([]map[string]string{c.TokenParams}, params...) {
		for name, value := range set {
			values.Set(name, value)
		}
	}
	rec, err := c.send(context.WithoutCancel(ctx), address, values, c.Dialect.tokenWording())
	if err != nil {
		return nil, err
	}
	return c.readToken(rec, asked)
}

// ask sends a request that spends nothing to another endpoint than the token endpoint, and returns the
// answer, which has to hold the field; empty: any success without an error will do. The error is an
// *Error.
func (c *Client) ask(ctx context.Context, address, field string, params url.Values, w wording) (map[string]any, error) {
	if address == "" {
		return nil, &Error{Kind: Misconfigured, Cause: "the provider has no such endpoint"}
	}
	rec, err := c.send(ctx, address, params, w)
	if err != nil {
		return nil, unspent(err)
	}
	body := rec.parsed()
	if rec.success() && (field == "" && !namesError(body) || body[field] != nil) {
		return body, nil
	}
	return nil, unspent(c.refusal(rec, text(body, "error"), text(body, "error_description")))
}

// unspent is an error of a request that spent nothing and that no person stands behind.
func unspent(err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return err
	case e.Kind == Ambiguous && e.Status == 0:
		e.Kind = Transient
	case e.Kind == Ambiguous:
		e.Kind = Unexpected
	case e.Kind == Reauthorize:
		e.Kind = Misconfigured
	}
	return e
}

func (c *Client) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}
