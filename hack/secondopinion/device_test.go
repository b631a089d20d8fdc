// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const byDevice = `
client: {id: tv, authentication: None}
grant: DeviceCode
scopes: [openid, email, offline_access]
`

func deviceApp() secondopinion.Client {
	return secondopinion.Client{
		"client_id": "tv", "token_endpoint_auth_method": "none", "redirect_uris": []string{}, "response_types": []string{},
		"grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}, "application_type": "native",
	}
}

func TestADeviceIsConnectedFromAnotherBrowser(t *testing.T) {
	r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{deviceApp()}, DeviceInterval: time.Minute})
	found, c := r.resolved(byDevice)
	device, err := c.AskDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if device.Interval != time.Minute || time.Until(device.Expires).Round(time.Minute) != 10*time.Minute ||
		!strings.HasPrefix(device.VerificationURI, r.issuer) || !strings.Contains(device.VerificationURIComplete, device.UserCode) {
		t.Errorf("what the person is told: %+v", device)
	}
	_, err = c.PollDevice(t.Context(), device.DeviceCode)
	r.wantPending(err, "authorization_pending")
	_, err = c.PollDevice(t.Context(), device.DeviceCode) // at once
	r.wantPending(err, "slow_down")
	if page := r.walk(device.VerificationURIComplete, ""); !strings.Contains(page.Body, "Sign-in Success") {
		t.Fatalf("the browser ended at %s: %s", page.URL, page.Body)
	}
	token, err := c.PollDevice(t.Context(), device.DeviceCode)
	if err != nil {
		t.Fatal(err)
	}
	if err := found.VerifyIDToken(t.Context(), token, ""); err != nil {
		t.Error(err)
	}
	if account, err := found.Account(t.Context(), token, nil); account != "jane@example.com" || err != nil {
		t.Errorf("account %q, %v", account, err)
	}
	token = r.refreshed(c, token)
	if err := c.Revoke(t.Context(), token); err != nil {
		t.Error(err)
	}
}

func TestADeviceThatIsRefusedOrForgottenSaysSo(t *testing.T) {
	r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{deviceApp()}, DeviceCodeLifetime: time.Second})
	_, c := r.resolved(byDevice)
	ask := func() *oauth.DeviceAuthorization {
		t.Helper()
		device, err := c.AskDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return device
	}
	device := ask()
	for {
		_, err := c.PollDevice(t.Context(), device.DeviceCode)
		if code := codeOf(err); code != "authorization_pending" && code != "slow_down" {
			r.wantPending(err, "expired_token")
			break
		}
	}
	denied := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{deviceApp()}})
	_, c = denied.resolved(byDevice)
	device = ask()
	denied.walk(device.VerificationURIComplete, "abort")
	_, err := c.PollDevice(t.Context(), device.DeviceCode)
	r.wantPending(err, "access_denied")
}
