// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"
)

const (
	// defaultInterval is RFC 8628's (section 3.2); minInterval and maxInterval bound what a provider may
	// ask for.
	defaultInterval, minInterval, maxInterval = 5 * time.Second, time.Second, 5 * time.Minute
	// defaultDeviceLife is for providers that do not tell, though they have to.
	defaultDeviceLife, maxDeviceLife = 10 * time.Minute, time.Hour

	maxUserCode, maxVerificationURI = 64, 2048
	// maxDeviceCode is as long as an authorization code can be: it is kept in the attempt's status.
	maxDeviceCode = 8192
)

// DeviceCode is the grant of RFC 8628. A person consents once, in any browser anywhere; from then on its
// refresh token is used.
type DeviceCode struct{}

// Token refreshes held.
func (DeviceCode) Token(ctx context.Context, c *Client, held *Token) (*Token, error) {
	return c.Refresh(ctx, held)
}

// DeviceAuthorization is what a person is told (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	DeviceCode Secret
	// UserCode is printable ASCII of at most 64 characters.
	UserCode string
	// VerificationURI and VerificationURIComplete, which may be empty, are absolute addresses of http
	// or https.
	VerificationURI, VerificationURIComplete string
	// Expires is when both codes end, within an hour.
	Expires time.Time
	// Interval is how long to wait between polls at least: 1 s to 5 min.
	Interval time.Duration
}

// AskDevice asks for a device code (RFC 8628 section 3.1). TokenParams are sent too, for the providers
// that want to know an audience or resource here. The error is an *Error.
func (c *Client) AskDevice(ctx context.Context) (*DeviceAuthorization, error) {
	params := url.Values{}
	for name, value := range c.TokenParams {
		params.Set(name, value)
	}
	params.Set("client_id", c.ID) // also beside HTTP Basic: many look for it here only
	if len(c.Scopes) > 0 {
		params.Set("scope", c.scope())
	}
	body, err := c.ask(ctx, c.Endpoints.DeviceAuthorization, "device_code", params, c.Dialect.tokenWording())
	if err != nil {
		return nil, err
	}
	d := c.deviceAuthorization(body)
	if d.DeviceCode.IsZero() || d.UserCode == "" || d.VerificationURI == "" {
		return nil, &Error{Kind: Unexpected, Cause: "the answer holds no device code that could be used"}
	}
	return d, nil
}

// deviceAuthorization leaves out what people must not be shown.
func (c *Client) deviceAuthorization(body map[string]any) *DeviceAuthorization {
	d := &DeviceAuthorization{
		DeviceCode:              NewSecret(text(body, "device_code")),
		UserCode:                strings.TrimSpace(text(body, "user_code")),
		VerificationURI:         pageAddress(text(body, "verification_uri")),
		VerificationURIComplete: pageAddress(text(body, "verification_uri_complete")),
		Expires:                 c.now().Add(defaultDeviceLife),
		Interval:                defaultInterval,
	}
	if d.VerificationURI == "" { // Google's name, from a draft of the RFC
		d.VerificationURI = pageAddress(text(body, "verification_url"))
	}
	if len(d.DeviceCode.Reveal()) > maxDeviceCode {
		d.DeviceCode = Secret{}
	}
	if len(d.UserCode) > maxUserCode || strings.ContainsFunc(d.UserCode, unprintable) {
		d.UserCode = ""
	}
	if life := lifetime(body["expires_in"]); life > 0 {
		d.Expires = c.now().Add(min(life, maxDeviceLife))
	}
	if interval := lifetime(body["interval"]); interval > 0 {
		d.Interval = min(max(interval, minInterval), maxInterval)
	}
	return d
}

// pageAddress returns an address that a person can be sent to, else the empty text.
func pageAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		len(address) > maxVerificationURI || strings.ContainsFunc(address, unprintable) {
		return ""
	}
	return address
}

// unprintable tells what is not printable ASCII.
func unprintable(r rune) bool { return r < ' ' || r > '~' }

// PollDevice asks whether the person has consented (RFC 8628 section 3.4). It makes one request of at
// most 30 s that the caller's cancellation does not cut. The error is an *Error, whose Code is
// authorization_pending, slow_down, access_denied or expired_token where the provider says so. A token
// beside an error has a refresh token only.
func (c *Client) PollDevice(ctx context.Context, code Secret) (*Token, error) {
	token, err := c.askToken(ctx, c.Endpoints.Token, c.Scopes, map[string]string{
		"grant_type":  "urn:ietf:params:oauth:grant-type:device_code",
		"device_code": code.Reveal(),
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == authorizationDeclined {
		e.Code = "access_denied"
	}
	return token, err
}

// authorizationDeclined is Microsoft Entra's access_denied.
const authorizationDeclined = "authorization_declined"

// ofDeviceGrant says whether a code steers a poll, so that no rule may rename it.
func ofDeviceGrant(code string) bool {
	switch code {
	case "authorization_pending", "slow_down", "access_denied", "expired_token", authorizationDeclined:
		return true
	}
	return false
}
