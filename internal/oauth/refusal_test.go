// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"testing"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestRulesTellWhatRefusalsMean(t *testing.T) {
	rules := []oauth.ErrorRule{
		{Code: "invalid_grant", Contains: "AADSTS50173", Cause: "the password was changed", Next: "connect again"},
		{Contains: "AADSTS7000222", Kind: oauth.ClientRejected, Cause: "the client's secret expired"},
		{Code: "ratelimited", Kind: oauth.Throttled},
		{Code: "token_revoked", Kind: oauth.Reauthorize, Cause: "somebody revoked it"},
		{Code: "fatal_error", Kind: oauth.Transient},
		{Code: "invalid_grant", Kind: oauth.Transient, Cause: "never reached where an earlier one matches"},
		{Code: "authorization_pending", Kind: oauth.Transient, Contains: "AADSTS70016"},
		{Code: "odd", Cause: "means what RFC 6749 says: nothing"},
	}
	tests := []struct {
		status            int
		code, description string
		kind              oauth.Kind
		label             string
	}{
		{400, "invalid_grant", "AADSTS50173: The provided grant has expired", oauth.Reauthorize, "AADSTS50173"},
		{400, "invalid_grant", "something else", oauth.Transient, "invalid_grant"},
		{400, "invalid_client", "AADSTS50173", oauth.ClientRejected, "invalid_client"},
		{401, "whatever", "AADSTS7000222: the keys are expired", oauth.ClientRejected, "AADSTS7000222"},
		{503, "whatever", "AADSTS7000222: the keys are expired", oauth.ClientRejected, "AADSTS7000222"},
		{503, "invalid_grant", "AADSTS50173", oauth.Transient, "AADSTS50173"},
		{429, "invalid_grant", "AADSTS50173", oauth.Throttled, "AADSTS50173"},
		{429, "token_revoked", "", oauth.Reauthorize, "token_revoked"},
		{200, "ratelimited", "", oauth.Throttled, "ratelimited"},
		{503, "ratelimited", "", oauth.Transient, "ratelimited"},
		{400, "fatal_error", "", oauth.Transient, "fatal_error"},
		{403, "fatal_error", "", oauth.Transient, "fatal_error"},
		{400, "odd", "", oauth.Unexpected, "odd"},
		{400, "not in any rule", "", oauth.Unexpected, ""},
		{400, "authorization_pending", "AADSTS70016", oauth.Transient, "authorization_pending"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, " ", test.code, " ", test.label), func(t *testing.T) {
			c := server(t, answer(test.status, jsonType, fmt.Sprintf(`{"error":%q,"error_description":%q}`, test.code, test.description)))
			c.Errors = rules
			_, err := c.Refresh(t.Context(), held())
			if e := wantKind(t, err, test.kind); e.Code != test.label {
				t.Errorf("the code is %q, want %q", e.Code, test.label)
			}
		})
	}
}

func TestARuleIsFoundAgainByTheCodeItGave(t *testing.T) {
	c := &oauth.Client{Errors: []oauth.ErrorRule{
		{Code: "invalid_grant", Contains: "AADSTS50173", Cause: "first"}, {Code: "invalid_grant", Cause: "second"}, {Cause: "matches nothing"},
	}}
	for code, want := range map[string]string{"AADSTS50173": "first", "invalid_grant": "second"} {
		if rule, found := c.Explain(code); !found || rule.Cause != want {
			t.Errorf("%s gives %+v", code, rule)
		}
	}
	for _, code := range []string{"", "invalid_client"} {
		if rule, found := c.Explain(code); found {
			t.Errorf("%q gives %+v", code, rule)
		}
	}
}
