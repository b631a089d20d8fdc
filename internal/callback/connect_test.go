// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"

	"github.com/oauth-operator/oauth-operator/internal/connect"
)

func TestAPersonConnectsAnAccount(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	page, err := b.Connect(t.Context(), r.start(t, r.conn), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
	for _, words := range []string{"alice@example.com", "kubectl -n " + r.conn.Namespace + " get oauthconnection github", "close this window"} {
		if !strings.Contains(page.Body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	for _, value := range append(r.idp.Issued(), r.idp.Received()...) {
		if strings.Contains(page.Body, value) {
			t.Errorf("the page shows %q", value)
		}
	}
	record := r.record(t, r.conn)
	if record == nil {
		t.Fatal("no record is stored")
	}
	attempt := r.attempts(t)[0]
	if !r.idp.AccessTokenValid(record.Token.AccessToken.Reveal()) || record.Account != "alice@example.com" ||
		record.Authorization != attempt.UID || record.Fingerprint == "" || len(record.RequestedScopes) != 3 || record.Grant != "AuthorizationCode" {
		t.Errorf("stored: %+v", record)
	}
	completed := meta.FindStatusCondition(attempt.Status.Conditions, v1alpha1.CompletedCondition)
	if completed == nil || completed.Status != metav1.ConditionTrue || completed.Reason != v1alpha1.ReasonConnected || attempt.Status.ClaimedAt == nil {
		t.Errorf("the attempt says %+v", attempt.Status)
	}
	if !metav1.IsControlledBy(&attempt, r.conn) || attempt.Spec.Connection != "github" {
		t.Errorf("the attempt belongs to %v", attempt.OwnerReferences)
	}
	if len(b.Cookies(r.PublicURL)) != 0 {
		t.Error("the flow's cookie is still there")
	}
	if event := <-r.events.Events; event != "Normal AccountConnected an account was connected" {
		t.Errorf("event %q", event)
	}
	if r.counted("started") != 1 || r.counted("connected") != 1 || r.counted("rejected") != 0 {
		t.Error("the counters are wrong")
	}
}

func TestTheConsentPageNamesTheHostAndNotOnlyThePreset(t *testing.T) {
	r := newRig(t)
	r.update(t, func(conn *v1alpha1.OAuthConnection) {
		conn.Spec.Provider = &v1alpha1.ProviderSpec{Preset: "github", Endpoints: &v1alpha1.Endpoints{
			Authorization: "https://github.evil.example/login", Token: "https://github.evil.example/token",
		}}
	})
	page := open(t, &idp.Browser{}, r.start(t, r.conn))
	if !strings.Contains(page.Body, "github.evil.example") {
		t.Errorf("who goes on is not told where to:\n%s", page.Body)
	}
}

func TestTheConsentPageSaysWhatIsAboutToHappenAndNotesNothing(t *testing.T) {
	r := newRig(t)
	page := open(t, &idp.Browser{}, r.start(t, r.conn))
	expectHeaders(t, page.Header)
	for _, words := range []string{r.conn.Namespace, "github", "oauth-operator", "openid", "offline_access", "Only go on if you or your team asked for this"} {
		if !strings.Contains(page.Body, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if strings.Contains(page.Body, "will be replaced") || len(page.Forms) != 1 || page.Forms[0].Method != http.MethodPost {
		t.Errorf("forms %v in %s", page.Forms, page.Body)
	}
	if len(page.Header.Values("Set-Cookie")) != 0 || len(r.attempts(t)) != 0 || r.idp.Count(idp.Authorize) != 0 {
		t.Error("looking at the page has left something")
	}
}

func TestTheConsentPageSaysWhoseAccountIsReplaced(t *testing.T) {
	r := newRig(t)
	r.conn.Status.Account = "bob@example.com"
	meta.SetStatusCondition(&r.conn.Status.Conditions, metav1.Condition{Type: v1alpha1.AuthorizedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAuthorized})
	if err := env.Client.Status().Update(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	page := open(t, &idp.Browser{}, r.start(t, r.conn))
	if !strings.Contains(page.Body, "<strong>bob@example.com</strong> is connected now and will be replaced") {
		t.Error(page.Body)
	}
}

func TestADeniedConsentClosesTheAttempt(t *testing.T) {
	r := newRig(t)
	page, err := (&idp.Browser{}).Deny(t.Context(), r.start(t, r.conn), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Denied)
	completed := meta.FindStatusCondition(r.attempts(t)[0].Status.Conditions, v1alpha1.CompletedCondition)
	if completed == nil || completed.Status != metav1.ConditionFalse || completed.Reason != v1alpha1.ReasonDenied {
		t.Errorf("the attempt says %+v", completed)
	}
	if r.idp.Count(idp.Token) != 0 || r.record(t, r.conn) != nil || r.counted("denied") != 1 {
		t.Error("a denied consent has led to a token request")
	}
	if event := <-r.events.Events; event != "Warning AuthorizationFailed the consent was denied" {
		t.Errorf("event %q", event)
	}
}

func TestErrorsOfTheProviderAreFixedTexts(t *testing.T) {
	for code, want := range map[string]notice{
		"invalid_scope":           connect.RequestRefused,
		"server_error":            connect.ProviderFailed,
		"temporarily_unavailable": connect.ProviderFailed,
		"login_required":          connect.Denied,
		"<script>alert(1)":        connect.ProviderFailed,
	} {
		r := newRig(t)
		b := &idp.Browser{}
		address := with(t, r.atCallback(t, b, r.conn), "code", "", "error", code, "error_description", "call 555-1234 now", "error_uri", "https://evil.example")
		page := open(t, b, address)
		expect(t, page, want)
		for _, words := range []string{"555-1234", "evil.example", "script", "invalid_scope", "login_required"} {
			if strings.Contains(page.Body, words) {
				t.Errorf("%s: the page repeats %q", code, words)
			}
		}
		if r.attempts(t)[0].Status.ClaimedAt == nil {
			t.Errorf("%s: the attempt is still open", code)
		}
	}
}

func TestAFailedExchangeSaysWhoseFaultItIs(t *testing.T) {
	for name, row := range map[string]struct {
		fault idp.Fault
		want  notice
	}{
		"code refused":     {idp.OAuthError("invalid_grant", 400), connect.CodeRefused},
		"client refused":   {idp.OAuthError("invalid_client", 401), connect.ClientRefused},
		"scope refused":    {idp.OAuthError("invalid_scope", 400), connect.ExchangeRefused},
		"HTML":             {idp.HTML(502), connect.ExchangeFailed},
		"200 with error":   {idp.ErrorIn200("invalid_grant"), connect.CodeRefused},
		"dropped":          {idp.Drop(), connect.ExchangeFailed},
		"huge":             {idp.HugeBody(1 << 20), connect.ExchangeFailed},
		"redirect":         {idp.Redirect(307, "http://127.0.0.1:1/"), connect.ExchangeFailed},
		"foreign ID token": {idp.Rewrite(func(body map[string]any) { body["id_token"] = "e30.eyJub25jZSI6Im90aGVyIn0.e30" }), connect.ForeignToken},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.idp.Fault(idp.Token, 1, row.fault)
			page, err := (&idp.Browser{}).Connect(t.Context(), r.start(t, r.conn), idp.DefaultUser())
			if err != nil {
				t.Fatal(err)
			}
			expect(t, page, row.want)
			completed := meta.FindStatusCondition(r.attempts(t)[0].Status.Conditions, v1alpha1.CompletedCondition)
			if completed == nil || completed.Reason != v1alpha1.ReasonExchangeFailed || completed.Message != row.want.Sentence() {
				t.Errorf("the attempt says %+v", completed)
			}
			if r.record(t, r.conn) != nil || r.idp.Count(idp.Token) != 1 || r.counted("exchange_failed") != 1 {
				t.Errorf("%d token requests", r.idp.Count(idp.Token))
			}
		})
	}
}

func TestTwoTabsDoNotDisturbEachOther(t *testing.T) {
	r := newRig(t)
	other := r.connection(t, r.conn.Namespace, "gitlab")
	b := &idp.Browser{}
	first := r.atCallback(t, b, r.conn)
	second := r.atCallback(t, b, other)
	if n := len(b.Cookies(r.PublicURL)); n != 2 {
		t.Errorf("%d cookies for two flows", n)
	}
	expect(t, open(t, b, first), connect.Connected)
	expect(t, open(t, b, second), connect.Connected)
	if r.record(t, r.conn) == nil || r.record(t, other) == nil {
		t.Error("an account is missing")
	}
}

func TestABrowserKeepsFewFlows(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	var last string
	for range 2 * maxFlows {
		r.clock.SetTime(r.clock.Now().Add(time.Second))
		last = r.atCallback(t, b, r.conn)
		if n := len(b.Cookies(r.PublicURL)); n > maxFlows {
			t.Fatalf("%d cookies", n)
		}
	}
	for _, cookie := range b.Cookies(r.PublicURL) {
		if len(cookie.Value) > 1500 {
			t.Errorf("a cookie has %d bytes", len(cookie.Value))
		}
	}
	expect(t, open(t, b, last), connect.Connected)
}

func TestASavingThatFailsIsSaidAndCatchesUp(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	address := r.atCallback(t, b, r.conn)
	r.Store.Client = newOutage(r.Store.Client)
	expect(t, open(t, b, address), connect.ConnectedUnsaved)
	if !r.Store.Pending(r.conn.UID) {
		t.Fatal("nobody holds the token")
	}
	r.Store.Client.(*outage).over()
	if err := r.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if record := r.record(t, r.conn); record == nil || !r.idp.AccessTokenValid(record.Token.AccessToken.Reveal()) {
		t.Error("the token is lost")
	}
}

func TestWithoutPKCETheVerifierStaysHome(t *testing.T) {
	r := newRig(t)
	r.update(t, func(c *v1alpha1.OAuthConnection) { c.Spec.Provider.PKCE = "None" })
	page, err := (&idp.Browser{}).Connect(t.Context(), r.start(t, r.conn), idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
}

func TestStateIsKnownByItsHashOnly(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	r.atCallback(t, b, r.conn)
	status := r.attempts(t)[0].Status
	for _, value := range r.idp.Received() {
		if oauth.NewSecret(value).Hash() == status.StateHash {
			return
		}
	}
	t.Errorf("the hash %s is of nothing that was sent", status.StateHash)
}
