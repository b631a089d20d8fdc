// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const deviceAnswer = `{"device_code":"device","user_code":"WDJB-MJHT","verification_uri":"https://idp.example/device",` +
	`"verification_uri_complete":"https://idp.example/device?user_code=WDJB-MJHT","expires_in":900,"interval":7}`

func TestADeviceCodeIsAskedFor(t *testing.T) {
	c, calls := scripted(t, answer(200, jsonType, deviceAnswer))
	c.TokenParams, c.AuthorizationParams = map[string]string{"audience": "api"}, map[string]string{"prompt": "consent"}
	c.ScopeSeparator = ","
	got, err := c.AskDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&oauth.DeviceAuthorization{
		DeviceCode: oauth.NewSecret("device"), UserCode: "WDJB-MJHT", VerificationURI: "https://idp.example/device",
		VerificationURIComplete: "https://idp.example/device?user_code=WDJB-MJHT",
		Expires:                 now().Add(15 * time.Minute), Interval: 7 * time.Second,
	}, got); diff != "" {
		t.Error(diff)
	}
	asked := only(t, calls)
	want := map[string]string{"client_id": "id", "scope": "read,write", "audience": "api"}
	if diff := cmp.Diff(want, asked.params); diff != "" || asked.address != "/device" || asked.user != "id" {
		t.Errorf("%+v %s", asked, diff)
	}
}

func TestDeviceAnswersAreBounded(t *testing.T) {
	edit := func(pairs ...string) string {
		return strings.NewReplacer(pairs...).Replace(deviceAnswer)
	}
	usable := map[string]struct {
		body     string
		life     time.Duration
		interval time.Duration
	}{
		"no interval":        {edit(`,"interval":7`, ``), 15 * time.Minute, 5 * time.Second},
		"interval 0":         {edit(`:7}`, `:0}`), 15 * time.Minute, 5 * time.Second},
		"negative interval":  {edit(`:7}`, `:-3}`), 15 * time.Minute, 5 * time.Second},
		"half a second":      {edit(`:7}`, `:0.5}`), 15 * time.Minute, time.Second},
		"interval of a year": {edit(`:7}`, `:"31536000"}`), 15 * time.Minute, 5 * time.Minute},
		"no expiry":          {edit(`"expires_in":900,`, ``), 10 * time.Minute, 7 * time.Second},
		"expiry of a year":   {edit(`900`, `31536000`), time.Hour, 7 * time.Second},
		"Google's name":      {edit(`"verification_uri":`, `"verification_url":`), 15 * time.Minute, 7 * time.Second},
		"complete is a trap": {edit(`https://idp.example/device?`, `javascript:`), 15 * time.Minute, 7 * time.Second},
		"a form":             {"device_code=device&user_code=A&verification_uri=https%3A%2F%2Fidp.example&expires_in=900&interval=7", 15 * time.Minute, 7 * time.Second},
	}
	for name, test := range usable {
		c, _ := scripted(t, answer(200, jsonType, test.body))
		got, err := c.AskDevice(t.Context())
		if err != nil || got.Interval != test.interval || !got.Expires.Equal(now().Add(test.life)) {
			t.Errorf("%s: %+v, %v", name, got, err)
		} else if strings.HasPrefix(got.VerificationURIComplete, "javascript") {
			t.Errorf("%s: %s", name, got.VerificationURIComplete)
		}
	}
	refused := map[string]string{
		"no device code":        edit(`"device_code":"device"`, `"device_code":1`),
		"endless device code":   edit(`"device_code":"device"`, `"device_code":"`+strings.Repeat("x", 8193)+`"`),
		"no user code":          edit(`"user_code":"WDJB-MJHT"`, `"user_code":""`),
		"endless user code":     edit(`"WDJB-MJHT"`, `"`+strings.Repeat("A", 65)+`"`),
		"user code of controls": edit(`"WDJB-MJHT"`, `"A\u001b[2J"`),
		"user code backwards":   edit(`"WDJB-MJHT"`, `"A\u202eB"`),
		"javascript":            edit(`"https://idp.example/device"`, `"javascript:alert(1)"`),
		"relative":              edit(`"https://idp.example/device"`, `"/device"`),
		"no host":               edit(`"https://idp.example/device"`, `"https:///device"`),
		"somebody at":           edit(`"https://idp.example/device"`, `"https://idp.example@evil.example/"`),
		"endless":               edit(`"https://idp.example/device"`, `"https://idp.example/`+strings.Repeat("x", 2048)+`"`),
		"a line feed":           edit(`"https://idp.example/device"`, `"https://idp.example/\n"`),
		"a page":                page,
	}
	for name, body := range refused {
		c, _ := scripted(t, answer(200, jsonType, body))
		got, err := c.AskDevice(t.Context())
		if wantKind(t, err, oauth.Unexpected); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestADeviceCodeThatIsRefusedIsClassified(t *testing.T) {
	for body, kind := range map[string]oauth.Kind{
		`{"error":"unauthorized_client"}`: oauth.ClientRejected, `{"error":"invalid_scope"}`: oauth.Misconfigured,
		`{"error":"invalid_grant"}`: oauth.Misconfigured, `{"error":"slow_down"}`: oauth.Throttled,
	} {
		for _, status := range []int{200, 400} {
			c, _ := scripted(t, answer(status, jsonType, body))
			_, err := c.AskDevice(t.Context())
			wantKind(t, err, kind)
		}
	}
	_, err := server(t, answer(200, jsonType, deviceAnswer)).AskDevice(t.Context())
	wantKind(t, err, oauth.Misconfigured)
}

func TestAPollTellsHowThePersonStands(t *testing.T) {
	tests := []struct {
		status     int
		code, want string
		kind       oauth.Kind
	}{
		{400, "authorization_pending", "authorization_pending", oauth.Transient},
		{428, "authorization_pending", "authorization_pending", oauth.Transient}, // Google
		{200, "authorization_pending", "authorization_pending", oauth.Transient}, // GitHub
		{400, "slow_down", "slow_down", oauth.Throttled},
		{429, "slow_down", "slow_down", oauth.Throttled},
		{403, "access_denied", "access_denied", oauth.Misconfigured},
		{400, "authorization_declined", "access_denied", oauth.Misconfigured}, // Entra
		{400, "expired_token", "expired_token", oauth.Reauthorize},
		{400, "invalid_grant", "RULED", oauth.Reauthorize},
		{400, sentinel, "RULED", oauth.Unexpected},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			c, calls := scripted(t, answer(test.status, jsonType, fmt.Sprintf(`{"error":%q,"error_description":"RULED"}`, test.code)))
			c.Errors = []oauth.ErrorRule{{Contains: "RULED", Cause: "no rule renames what steers a poll"}}
			_, err := c.PollDevice(t.Context(), oauth.NewSecret("device"))
			if e := wantKind(t, err, test.kind); e.Code != test.want {
				t.Errorf("the code is %q", e.Code)
			}
			want := map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "device"}
			if diff := cmp.Diff(want, only(t, calls).params); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPollEndsWithAToken(t *testing.T) {
	c, calls := scripted(t, answer(200, jsonType, fullAnswer))
	c.Authentication = oauth.None
	token, err := c.PollDevice(t.Context(), oauth.NewSecret("device"))
	if err != nil || token.RefreshToken.Reveal() != "new-refresh" {
		t.Fatal(err)
	}
	if got := only(t, calls); got.params["client_id"] != "id" || got.address != "/token" {
		t.Errorf("%+v", got)
	}
	next, err := oauth.DeviceCode{}.Token(t.Context(), c, token)
	if err != nil || next.AccessToken.IsZero() || (*calls)[1].params["refresh_token"] != "new-refresh" {
		t.Errorf("%v, %v", next, err)
	}
}
