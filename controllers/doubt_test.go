// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

func restored() *tokenstore.Doubt {
	return &tokenstore.Doubt{Since: noon.Add(-time.Minute), Cause: tokenstore.DoubtRestored}
}

func introspects(p *pass) {
	p.client.Endpoints.Introspection = "https://idp.example.com" + introspectPath
}

func TestWhetherATokenThatMayBeSpentIsSentFollowsWhatTheProviderDoes(t *testing.T) {
	const active, inactive = `{"active":true}`, `{"active":false}`
	for name, c := range map[string]struct {
		change          func(*pass)
		says            string
		asks, sends     int
		reason, message string
	}{
		"it cannot be spent":             {change: func(p *pass) { introspects(p); p.client.Rotation = oauth.Static }, says: inactive, sends: 1, reason: v1alpha1.ReasonFresh},
		"it is honoured still":           {change: func(p *pass) { introspects(p); p.client.RetryWindow = time.Minute }, says: inactive, sends: 1, reason: v1alpha1.ReasonFresh},
		"it was honoured for a while":    {change: func(p *pass) { introspects(p); p.client.RetryWindow = 30 * time.Second }, says: active, asks: 1, sends: 1, reason: v1alpha1.ReasonFresh},
		"the provider calls it active":   {change: introspects, says: active, asks: 1, sends: 1, reason: v1alpha1.ReasonFresh},
		"nobody can be asked":            {change: func(*pass) {}, sends: 1, reason: v1alpha1.ReasonFresh},
		"the provider cannot tell":       {change: introspects, says: `400 {"error":"unsupported_token_type"}`, asks: 1, sends: 1, reason: v1alpha1.ReasonFresh},
		"the provider calls it inactive": {change: introspects, says: inactive, asks: 1, reason: v1alpha1.ReasonAtRisk, message: "not sent while the access token works"},
		"inactive, and nothing is left to lose": {change: func(p *pass) {
			introspects(p)
			p.record.Token.Expiry = noon.Add(tokenstore.IntentLifetime + 50*time.Second)
		}, says: inactive, asks: 1, sends: 1, reason: v1alpha1.ReasonFresh},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoubtful(t, c.change)
			d.answers[introspectPath], d.answers[tokenPath] = c.says, renewed
			d.killed()
			d.says(d.look(tokenstore.IntentLifetime), c.reason, c.message)
			if d.count(introspectPath) != c.asks || d.count(tokenPath) != c.sends {
				t.Errorf("asked %v", d.asked)
			}
			if held := d.record.Doubt != nil; held == (c.sends > 0) {
				t.Errorf("the record's doubt is %+v", d.record.Doubt)
			}
		})
	}
}

func TestATokenCalledInactiveIsKeptUntilNothingIsLeftToLose(t *testing.T) {
	d := newDoubtful(t, introspects)
	d.answers[introspectPath], d.answers[tokenPath] = `{"active":false}`, renewed
	d.killed()
	last := d.record.Token.Expiry.Add(-lastMoment)
	d.says(d.look(tokenstore.IntentLifetime), v1alpha1.ReasonAtRisk, "began at "+clockTime(noon), "the operator was killed", "calls it inactive",
		"it is tried all the same at "+clockTime(last), "kubectl oauth connect github -n team-a", "kubectl -n team-a annotate --overwrite oauthconnection github")
	if !d.personNeeded || !meta.IsStatusConditionTrue(d.conn.Status.Conditions, v1alpha1.StalledCondition) {
		t.Error("nobody is asked for")
	}
	if d.says(d.look(time.Minute), v1alpha1.ReasonAtRisk); len(d.asked) != 1 {
		t.Errorf("asked %v before anything changed", d.asked)
	}
	// The endpoint had told of access tokens only.
	d.says(d.look(last.Sub(d.now)), v1alpha1.ReasonFresh)
	if d.record.Doubt != nil || d.record.Failure != nil || d.record.Token.RefreshToken.Reveal() != "next-refresh" {
		t.Errorf("the record is %+v", d.record)
	}
}

func TestSomebodyMayHaveATokenCalledInactiveTriedAtOnce(t *testing.T) {
	d := newDoubtful(t, introspects)
	d.answers[introspectPath], d.answers[tokenPath] = `{"active":false}`, renewed
	// The request that was being carried out when the process died does not count.
	d.conn.Annotations = map[string]string{v1alpha1.RefreshRequestedAnnotation: "1"}
	d.killed()
	d.says(d.look(tokenstore.IntentLifetime), v1alpha1.ReasonAtRisk)
	if d.count(tokenPath) != 0 {
		t.Error("it was sent")
	}
	d.conn.Annotations[v1alpha1.RefreshRequestedAnnotation] = "2"
	d.says(d.look(time.Second), v1alpha1.ReasonFresh)
	if d.count(introspectPath) != 1 || d.count(tokenPath) != 1 {
		t.Errorf("asked %v", d.asked)
	}
}

func TestARiskIsToldWhateverFailsLaterUntilATokenIsSaved(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.look(0) // no answer that can be read
	want := []string{"the renewal that began at " + clockTime(noon) + " got no answer that can be used", "it is asked again at", "kubectl oauth connect github -n team-a"}
	d.answers[tokenPath] = `503 down`
	d.says(d.look(time.Minute), v1alpha1.ReasonAtRisk, append(want, "HTTP 503")...)
	d.answers[tokenPath] = `400 {"error":"slow_down"}`
	d.says(d.look(time.Minute), v1alpha1.ReasonAtRisk, append(want, "asked to wait")...)
	d.answers[tokenPath] = `400 {"error":"invalid_client"}`
	d.says(d.look(time.Minute), v1alpha1.ReasonClientRejected, want[0])
	if n := d.announced(v1alpha1.ReasonAtRisk); n != 1 {
		t.Errorf("%d events tell of the risk", n)
	}
	d.answers[tokenPath] = renewed
	d.says(d.look(time.Hour), v1alpha1.ReasonFresh)
	if d.record.Doubt != nil {
		t.Error("the new token is doubted as well")
	}
}

func TestWithinTheWindowALostAnswerIsNoRiskYet(t *testing.T) {
	d := newDoubtful(t, func(p *pass) { p.client.RetryWindow = time.Minute })
	d.says(d.look(0), v1alpha1.ReasonRefreshFailed, "the provider honours it until "+clockTime(noon.Add(time.Minute)))
	d.says(d.look(2*time.Minute), v1alpha1.ReasonAtRisk)
}

func TestARefusalIsExplainedByWhatWasKnownBefore(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*doubtful)
		words  []string
		not    string
	}{
		"nothing":          {before: func(*doubtful) {}, words: []string{"it was revoked, replaced or has expired"}, not: "most likely"},
		"a killed process": {before: func(d *doubtful) { d.killed() }, words: []string{"most likely because the operator was killed, or could not write, between the provider's answer to the renewal of " + clockTime(noon) + " and its journal"}},
		"a lost answer":    {before: func(d *doubtful) { d.look(0) }, words: []string{"most likely because the provider's answer to the renewal of " + clockTime(noon) + " never arrived"}},
		"a backup": {before: func(d *doubtful) {
			next := *d.record
			next.Doubt = restored()
			d.stored(d.Store.Amend(d.t.Context(), d.key, &next))
		}, words: []string{"most likely because the stored grant was restored from a backup"}},
		"a killed process, and the provider's own words": {before: func(d *doubtful) {
			d.client.Errors = []oauth.ErrorRule{{Code: "invalid_grant", Cause: "the person left", Next: "ask another one"}}
			d.killed()
		}, words: []string{"the person left; ask another one; what is known besides: the operator was killed"}, not: "most likely"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoubtful(t, func(*pass) {})
			c.before(d)
			d.answers[tokenPath] = reused
			d.says(d.look(time.Minute), v1alpha1.ReasonReauthorizationRequired, append(c.words, "(invalid_grant)", "kubectl oauth connect github -n team-a")...)
			again := d.look(time.Minute)
			d.says(again, v1alpha1.ReasonReauthorizationRequired, c.words...)
			if c.not != "" && strings.Contains(again.Message, c.not) {
				t.Errorf("it says %q", again.Message)
			}
			if n := d.announced(v1alpha1.ReasonReauthorizationRequired); n != 1 {
				t.Errorf("%d events tell of it", n)
			}
		})
	}
}

func TestAnotherProcessesRenewalIsWaitedForUntilItsDeadline(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.killed()
	deadline := noon.Add(tokenstore.IntentLifetime)
	d.says(d.look(5*time.Second), v1alpha1.ReasonProgressing, "another process of the operator began at "+clockTime(noon), "taken over at "+clockTime(deadline))
	if !d.wakeAt.Equal(deadline) || len(d.asked) != 0 {
		t.Errorf("the next look is at %s, asked %v", d.wakeAt, d.asked)
	}
	d.says(d.look(40*time.Second), v1alpha1.ReasonAtRisk, "the operator was killed")
}

func TestARenewalThatNobodySawBeforeItsDeadlineIsARiskFromThenOnAndLeftToItsHolderForAWhile(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.elapsed.SetTime(noon.Add(-10 * time.Minute))
	d.killed()
	d.Store = &tokenstore.Store{Client: d.api, Namespace: "operator", Keyring: d.Store.Keyring, Holder: "later", Clock: d.elapsed}
	d.says(d.look(10*time.Minute), v1alpha1.ReasonAtRisk, "the renewal that began at "+clockTime(noon.Add(-10*time.Minute)), "it is tried at "+clockTime(noon.Add(20*time.Second)))
	if want := noon.Add(20 * time.Second); !d.wakeAt.Equal(want) || len(d.asked) != 0 {
		t.Errorf("the next look is at %s, asked %v", d.wakeAt, d.asked)
	}
	d.answers[tokenPath] = renewed
	d.says(d.look(20*time.Second), v1alpha1.ReasonFresh)
}

func TestAnInterruptedRenewalIsDecidedAlsoWhereNoneIsDue(t *testing.T) {
	d := newDoubtful(t, func(p *pass) { p.record.Token.Expiry = noon.Add(100 * time.Hour) })
	d.killed()
	d.answers[tokenPath] = renewed
	if d.look(tokenstore.IntentLifetime); d.count(tokenPath) != 1 || d.record.Intent != nil {
		t.Errorf("asked %v, and the record has the intent %+v", d.asked, d.record.Intent)
	}
}

func TestARiskIsToldWhileTheClientCannotBeResolved(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.killed()
	d.look(5 * time.Second)
	d.elapsed.SetTime(noon.Add(tokenstore.IntentLifetime))
	d.now, d.results, d.client = d.elapsed.Now(), nil, nil
	if err := d.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.settleStep(v1alpha1.ClientResolvedCondition, &stop{Reason: v1alpha1.ReasonDiscoveryFailed, Message: "down"})
	if err := d.summarize(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.says(meta.FindStatusCondition(d.conn.Status.Conditions, v1alpha1.TokenFreshCondition), v1alpha1.ReasonAtRisk, "the operator was killed", "an earlier step")
}

func TestAPanicHoldsUpNoExitAndLeavesADoubt(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.client.HTTP = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { panic("of a library") })}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		d.look(0)
	}()
	ended, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := d.Store.Flush(ended); err != nil {
		t.Error(err)
	}
	d.client.HTTP = &http.Client{Transport: roundTripper(d.answer)}
	d.says(d.look(time.Second), v1alpha1.ReasonAtRisk, "began at "+clockTime(noon)+" was cut off")
}

func TestARetryAfterIsKeptAndNoRequestComesBeforeIt(t *testing.T) {
	p := walkAt(noon, nil)
	f := p.nextTry(&oauth.Error{Kind: oauth.Throttled, RetryAfter: 10 * time.Minute})
	if want := noon.Add(10 * time.Minute); !f.NotBefore.Equal(want) || f.RetryAt.Before(want) {
		t.Errorf("not before %s, tried again at %s", f.NotBefore, f.RetryAt)
	}
	if f = p.nextTry(&oauth.Error{Kind: oauth.Throttled}); !f.NotBefore.IsZero() {
		t.Errorf("not before %s, which nobody asked for", f.NotBefore)
	}
}

func TestTokensThatLiveTooShortAreNamedAndNotAskedForWithoutEnd(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.answers[tokenPath] = `{"access_token":"next","refresh_token":"next-refresh","expires_in":1}`
	words := []string{"Example gives access tokens that live for 1s", "one is asked for every 30s", "refresh-requested-at"}
	d.says(d.look(0), v1alpha1.ReasonFresh, words...)
	d.says(d.look(5*time.Second), v1alpha1.ReasonTokenExpired, words...)
	if d.count(tokenPath) != 1 || !d.wakeAt.Equal(noon.Add(30*time.Second)) {
		t.Errorf("asked %d times, and next at %s", d.count(tokenPath), d.wakeAt)
	}
}

func TestTheEndOfAnotherProcessesAttemptIsNotSleptThrough(t *testing.T) {
	d := newDoubtful(t, func(*pass) {})
	d.killed()
	if err := d.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if deadline := noon.Add(tokenstore.IntentLifetime); !d.wakeAt.Equal(deadline) {
		t.Errorf("whatever the connection waits for, it is looked at again at %s, want %s", d.wakeAt, deadline)
	}
}

// Its stored times would hold for as long as the clock was ahead: the token would end unnoticed, and a failure
// be waited out for days.
func TestWhatWasStoredByAClockThatWasAheadIsNotBelieved(t *testing.T) {
	ahead := noon.Add(24 * time.Hour)
	for name, change := range map[string]func(*pass){
		"a token": func(p *pass) { p.record.Token.Obtained, p.record.Token.Expiry = ahead, ahead.Add(time.Hour) },
		"a failure": func(p *pass) {
			p.record.Failure = &tokenstore.Failure{Count: 1, Kind: oauth.Throttled, At: ahead, Since: ahead, RetryAt: ahead.Add(time.Hour), NotBefore: ahead.Add(time.Hour)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoubtful(t, func(p *pass) { change(p) })
			d.answers[tokenPath] = renewed
			d.says(d.look(0), v1alpha1.ReasonFresh)
			d.look(time.Minute)
			if n := d.count(tokenPath); n != 1 {
				t.Errorf("%d token requests, want one", n)
			}
		})
	}
}
