// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"crypto/elliptic"
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
	key := ecKey(t, elliptic.P256())
	signing := deviceApp()
	signing["token_endpoint_auth_method"], signing["jwks"] = "private_key_jwt", public(key, "k1")
	for name, row := range map[string]struct {
		client secondopinion.Client
		spec   string
	}{
		"public":      {deviceApp(), byDevice},
		"private key": {signing, strings.Replace(byDevice, "None", "PrivateKeyJWT, keyID: k1, secretRef: {name: client, key: client-secret}", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := node(t, newAuthority(t), secondopinion.Options{Clients: []secondopinion.Client{row.client}, DeviceInterval: time.Minute})
			r.secret("client", map[string][]byte{"client-secret": keyPEM(t, key)})
			r.connectsDevice(row.spec)
		})
	}
}

func (r *rig) connectsDevice(spec string) {
	r.Helper()
	found, c := r.resolved(spec)
	device, err := c.AskDevice(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if device.Interval != time.Minute || time.Until(device.Expires).Round(time.Minute) != 10*time.Minute ||
		!strings.HasPrefix(device.VerificationURI, r.issuer) || !strings.Contains(device.VerificationURIComplete, device.UserCode) {
		r.Errorf("what the person is told: %+v", device)
	}
	_, err = c.PollDevice(r.Context(), device.DeviceCode)
	r.wantPending(err, "authorization_pending")
	_, err = c.PollDevice(r.Context(), device.DeviceCode) // at once
	r.wantPending(err, "slow_down")
	if page := r.walk(device.VerificationURIComplete, ""); !strings.Contains(page.Body, "Sign-in Success") {
		r.Fatalf("the browser ended at %s: %s", page.URL, page.Body)
	}
	token, err := c.PollDevice(r.Context(), device.DeviceCode)
	if err != nil {
		r.Fatal(err)
	}
	if err := found.VerifyIDToken(r.Context(), token, ""); err != nil {
		r.Error(err)
	}
	if account, err := found.Account(r.Context(), token, nil); account != "jane@example.com" || err != nil {
		r.Errorf("account %q, %v", account, err)
	}
	token = r.refreshed(c, token)
	if err := c.Revoke(r.Context(), token); err != nil {
		r.Error(err)
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
