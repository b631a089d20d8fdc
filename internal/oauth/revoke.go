// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Revoke ends a token (RFC 7009): the refresh token where there is one, because with it most providers
// end the access tokens as well. The error is an *Error, or ErrRevocationUnsupported where the provider
// has no revocation endpoint.
func (c *Client) Revoke(ctx context.Context, held *Token) error {
	token, hint := held.RefreshToken, "refresh_token"
	if token.IsZero() {
		token, hint = held.AccessToken, "access_token"
	}
	if c.Endpoints.Revocation == "" {
		return ErrRevocationUnsupported
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	rec := c.record()
	req, err := c.revocationRequest(ctx, token, hint)
	if err == nil {
		var resp *http.Response
		if resp, err = client(rec).Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}
	switch {
	case rec.status == 0:
		return unspent(noAnswer(rec, err))
	case rec.status >= 200 && rec.status <= 299:
		return nil
	}
	return refusal(rec, parseBody(rec.body), c.now())
}

func (c *Client) revocationRequest(ctx context.Context, token Secret, hint string) (*http.Request, error) {
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {hint}}
	basic := c.Authentication != Post && c.Authentication != None
	if !basic {
		form.Set("client_id", c.ID)
		if !c.Secret.IsZero() {
			form.Set("client_secret", c.Secret.Reveal())
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoints.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic { // RFC 6749 section 2.3.1: both are form-encoded first
		req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret.Reveal()))
	}
	return req, nil
}
