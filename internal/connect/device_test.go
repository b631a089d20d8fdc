// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestTheAnswerSaysWhenToPollNext(t *testing.T) {
	const last = 0
	for name, c := range map[string]struct {
		err      error
		interval time.Duration
		want     time.Duration
	}{
		"nobody has typed":           {&oauth.Error{Kind: oauth.Unexpected, Code: "authorization_pending"}, 5 * time.Second, 5 * time.Second},
		"too fast":                   {&oauth.Error{Kind: oauth.Throttled, Code: "slow_down"}, 5 * time.Second, 10 * time.Second},
		"too fast for a slow one":    {&oauth.Error{Kind: oauth.Throttled, Code: "slow_down"}, 5 * time.Minute, 5*time.Minute + 5*time.Second},
		"not reached":                {&oauth.Error{Kind: oauth.Unreachable}, 5 * time.Second, 10 * time.Second},
		"it stays so":                {&oauth.Error{Kind: oauth.Unreachable}, 45 * time.Second, time.Minute},
		"it stays so at a slow one":  {&oauth.Error{Kind: oauth.Transient}, 5 * time.Minute, 5 * time.Minute},
		"asked to wait":              {&oauth.Error{Kind: oauth.Throttled, RetryAfter: 30 * time.Second}, 5 * time.Second, 30 * time.Second},
		"no answer":                  {&oauth.Error{Kind: oauth.Ambiguous}, 5 * time.Second, 10 * time.Second},
		"a proxy's page":             {&oauth.Error{Kind: oauth.Ambiguous, Status: 200}, 5 * time.Second, 10 * time.Second},
		"a token that is not read":   {&oauth.Error{Kind: oauth.Ambiguous, Status: 200, Issues: []string{"tokenResponse.accessToken gave a list"}}, 5 * time.Second, last},
		"denied":                     {&oauth.Error{Kind: oauth.Reauthorize, Code: "access_denied"}, 5 * time.Second, last},
		"the client is not accepted": {&oauth.Error{Kind: oauth.ClientRejected}, 5 * time.Second, last},
		"nothing of the provider's":  {errors.New("else"), 5 * time.Second, last},
	} {
		if got := nextPoll(c.err, c.interval); got != c.want {
			t.Errorf("%s: the next poll comes after %s, want %s", name, got, c.want)
		}
	}
}
