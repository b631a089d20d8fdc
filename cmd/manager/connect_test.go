// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// attempt creates an OAuthAuthorization as kubectl oauth does, listening at a port.
func (w *world) attempt(connection string, port int) *v1alpha1.OAuthAuthorization {
	w.Helper()
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: connection + "-"},
		Spec: v1alpha1.OAuthAuthorizationSpec{
			Connection: connection, Requester: "jane", Method: v1alpha1.PairingLoopback, Loopback: &v1alpha1.Loopback{Port: int32(port)},
		},
	}
	if err := env.Client.Create(w.Context(), attempt); err != nil {
		w.Fatal(err)
	}
	return attempt
}

// awaitAttempt waits until the attempt's condition has this reason, and returns it.
func (w *world) awaitAttempt(attempt *v1alpha1.OAuthAuthorization, reason string) *metav1.Condition {
	w.Helper()
	var found *metav1.Condition
	w.eventually("Completed "+reason, func() (bool, string) {
		if err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(attempt), attempt); err != nil {
			return false, err.Error()
		}
		found = meta.FindStatusCondition(attempt.Status.Conditions, v1alpha1.CompletedCondition)
		if found == nil {
			return false, "no condition"
		}
		return found.Reason == reason, found.Reason + ": " + found.Message
	})
	return found
}

func TestAnAttemptThatCannotWorkEndsAtOnceAndSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.apply("suspended", w.inline("suspend: true"))
	w.apply("machine", w.inline("grant: ClientCredentials"))
	w.apply("incomplete", strings.Replace(w.inline(""), "{name: client}", "{name: absent}", 1))
	for name, row := range map[string]struct{ reason, message string }{
		"missing":    {v1alpha1.ReasonConnectionNotFound, "does not exist"},
		"suspended":  {v1alpha1.ReasonSuspended, "spec.suspend is true"},
		"machine":    {v1alpha1.ReasonNoPersonNeeded, "acts for itself"},
		"incomplete": {v1alpha1.ReasonConnectionNotReady, `Secret "absent" not found`},
	} {
		attempt := w.attempt(name, 1)
		c := w.awaitAttempt(attempt, row.reason)
		if c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, row.message) || attempt.Status.AuthorizationURL != "" {
			t.Errorf("%s: %+v", name, attempt.Status)
		}
	}
	w.apply("fine", w.inline(""))
	code := w.attempt("fine", 1)
	code.ObjectMeta = metav1.ObjectMeta{Namespace: w.namespace, GenerateName: "fine-"}
	code.Spec.Method, code.Spec.Loopback = v1alpha1.PairingCode, nil
	if err := env.Client.Create(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	if c := w.awaitAttempt(code, v1alpha1.ReasonMethodNotAllowed); !strings.Contains(c.Message, "platform team") {
		t.Errorf("a method that is not switched on: %s", c.Message)
	}
}

func TestAnAdmittedAttemptSaysWhereTheBrowserStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("github", w.inline(""))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if want := "kubectl oauth connect github -n " + w.namespace; !strings.Contains(c.Message, want) {
		t.Errorf("the condition does not name the command %q: %s", want, c.Message)
	}
	attempt := w.attempt("github", 1)
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
	if want := publicURL + "/authorize/" + w.namespace + "/" + attempt.Name; attempt.Status.AuthorizationURL != want || attempt.Status.ExpiresAt == nil {
		t.Errorf("status: %+v", attempt.Status)
	}
}

// native is a provider whose client is an app on the person's machine, as redirect Loopback needs.
func native(t *testing.T) *world {
	w := newWorld(t, rotating)
	provider, err := idp.New(idp.Options{
		Rotation: true, ReuseDetection: true, RequirePKCE: true,
		Clients: []idp.Client{{ID: "native-app", RedirectURIs: []string{"http://127.0.0.1/callback/ns/" + w.namespace + "/github"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	w.provider = provider
	return w
}

const nativeSpec = "{provider: {issuer: ISSUER}, client: {id: native-app}, redirect: Loopback, scopes: [openid, email, offline_access]}"

// atLoopback walks a browser, which reaches the provider and the person's own machine only, and
// returns the parameters that arrive at the loopback address.
func (w *world) atLoopback(address string) url.Values {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	defer listener.Close()
	operator, _ := url.Parse(publicURL)
	var forbidden string
	b := &idp.Browser{Until: func(next *url.URL) bool {
		if next.Host == operator.Host {
			forbidden = next.Path
		}
		return strings.HasPrefix(next.Path, "/callback/") || forbidden != ""
	}}
	page, err := b.Connect(w.Context(), address, w.user)
	if err != nil {
		w.Fatal(err)
	}
	to, err := url.Parse(page.Header.Get("Location"))
	if err != nil || to.Hostname() != "127.0.0.1" || forbidden != "" {
		w.Fatalf("the browser was sent to %s, %s: %s", to.Redacted(), forbidden, page.Body)
	}
	return to.Query()
}

// handOver writes the provider's response on the attempt, as kubectl oauth does.
func (w *world) handOver(attempt *v1alpha1.OAuthAuthorization, response v1alpha1.AuthorizationResponse) {
	w.Helper()
	patched := attempt.DeepCopy()
	patched.Spec.Response = &response
	if err := env.Client.Patch(w.Context(), patched, client.MergeFrom(attempt)); err != nil {
		w.Fatal(err)
	}
}

func TestLoopbackConnectsWithNoWayFromTheBrowserToTheOperator(t *testing.T) {
	t.Parallel()
	w := native(t)
	conn := w.apply("github", nativeSpec)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if want := "http://127.0.0.1/callback/ns/" + w.namespace + "/github"; conn.Status.RedirectURI != want || conn.Status.AuthorizationURL != "" {
		t.Errorf("redirectURI %q, authorizationURL %q; want %q and none", conn.Status.RedirectURI, conn.Status.AuthorizationURL, want)
	}
	attempt := w.attempt("github", 4711)
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
	address, _ := url.Parse(attempt.Status.AuthorizationURL)
	query := address.Query()
	if query.Has("state") || query.Get("code_challenge") == "" || query.Get("redirect_uri") != "http://127.0.0.1:4711/callback/ns/"+w.namespace+"/github" {
		t.Fatalf("the address is %s", address)
	}
	state := oauth.Random()
	arrived := w.atLoopback(address.String() + "&state=" + state)
	if arrived.Get("state") != state || arrived.Get("code") == "" {
		t.Fatalf("what arrives has %d parameters and not the state", len(arrived))
	}
	w.handOver(attempt, v1alpha1.AuthorizationResponse{Code: arrived.Get("code"), Issuer: arrived.Get("iss")})
	w.awaitAttempt(attempt, v1alpha1.ReasonConnected)
	if attempt.Status.Account != "alice@example.com" || attempt.Status.ClaimedAt == nil {
		t.Errorf("status: %+v", attempt.Status)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if !w.accepted("github") {
		t.Error("the provider does not take the token in the Secret")
	}
	w.refreshed(conn)
	if n := w.provider.Count(idp.Token); n != 2 {
		t.Errorf("%d token requests, want one for the code and one for the refresh", n)
	}
}

func TestALoopbackResponseThatDoesNotBelongHereIsRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change  func(*world, *v1alpha1.OAuthAuthorization, *v1alpha1.AuthorizationResponse)
		reason  string
		message string
		asked   int
	}{
		"another issuer": {func(_ *world, _ *v1alpha1.OAuthAuthorization, r *v1alpha1.AuthorizationResponse) {
			r.Issuer = "https://evil.example"
		},
			v1alpha1.ReasonResponseRefused, "another provider", 0},
		"no issuer": {func(_ *world, _ *v1alpha1.OAuthAuthorization, r *v1alpha1.AuthorizationResponse) { r.Issuer = "" },
			v1alpha1.ReasonResponseRefused, "another provider", 0},
		"denied": {func(_ *world, _ *v1alpha1.OAuthAuthorization, r *v1alpha1.AuthorizationResponse) {
			r.Code, r.Error = "", "access_denied"
		},
			v1alpha1.ReasonDenied, "denied", 0},
		"a code made up": {func(_ *world, _ *v1alpha1.OAuthAuthorization, r *v1alpha1.AuthorizationResponse) { r.Code = "made-up" },
			v1alpha1.ReasonExchangeFailed, "did not accept", 1},
		"changed meanwhile": {func(w *world, _ *v1alpha1.OAuthAuthorization, _ *v1alpha1.AuthorizationResponse) {
			conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "github"}}
			w.patch(conn, "{provider: {endpoints: {token: 'http://127.0.0.1:1/token'}}}")
			w.eventually("the operator's cache", func() (bool, string) {
				err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(conn), conn)
				return err == nil && conn.Status.ObservedGeneration == conn.Generation, describe(conn)
			})
		}, v1alpha1.ReasonResponseRefused, "changed meanwhile", 0},
		"a flow of another attempt": {func(w *world, attempt *v1alpha1.OAuthAuthorization, _ *v1alpha1.AuthorizationResponse) {
			other := w.attempt("github", 4712)
			w.awaitAttempt(other, v1alpha1.ReasonWaitingForBrowser)
			attempt.Status.SealedFlow = other.Status.SealedFlow
			if err := env.Client.Status().Update(w.Context(), attempt); err != nil {
				w.Fatal(err)
			}
		}, v1alpha1.ReasonResponseRefused, "not what a provider sends", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := native(t)
			w.await(w.apply("github", nativeSpec), v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
			attempt := w.attempt("github", 4711)
			w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
			arrived := w.atLoopback(attempt.Status.AuthorizationURL + "&state=" + oauth.Random())
			response := v1alpha1.AuthorizationResponse{Code: arrived.Get("code"), Issuer: arrived.Get("iss")}
			row.change(w, attempt, &response)
			w.handOver(attempt, response)
			if c := w.awaitAttempt(attempt, row.reason); !strings.Contains(c.Message, row.message) {
				t.Errorf("message %q", c.Message)
			}
			if n := w.provider.Count(idp.Token); n != row.asked {
				t.Errorf("%d token requests, want %d", n, row.asked)
			}
		})
	}
}

func TestALoopbackClientNeedsPKCE(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("github", "{provider: {issuer: ISSUER, pkce: None}, client: {id: native-app}, redirect: Loopback}")
	c := w.await(conn, v1alpha1.ClientResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonClientInvalid)
	if !strings.Contains(c.Message, "spec.redirect") || !strings.Contains(c.Message, "pkce: None") {
		t.Errorf("message %q", c.Message)
	}
}

func TestAChangedExpectationAsksForAConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("github", "expectedAccount: alice@example.com")
	w.patch(conn, "{expectedAccount: bob@example.com}")
	c := w.await(conn, v1alpha1.AuthorizedCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	if !strings.Contains(c.Message, `account "alice@example.com" is connected, and spec.expectedAccount is "bob@example.com"`) {
		t.Errorf("message %q", c.Message)
	}
	w.patch(conn, "{expectedAccount: alice@example.com}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// A process that dies after it has claimed an attempt says nothing more. Whoever waits must be told.
func TestAnAttemptWhoseProcessDiedIsSettledFromTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("github", "")
	for name, row := range map[string]struct {
		stored bool
		reason string
	}{
		"nothing stored": {false, v1alpha1.ReasonExchangeFailed},
		"stored":         {true, v1alpha1.ReasonConnected},
	} {
		var attempt *v1alpha1.OAuthAuthorization
		if row.stored {
			list := &v1alpha1.OAuthAuthorizationList{}
			if err := env.Client.List(t.Context(), list, client.InNamespace(w.namespace), client.MatchingFields{}); err != nil {
				t.Fatal(err)
			}
			for i := range list.Items {
				if list.Items[i].Spec.Method == v1alpha1.PairingLink {
					attempt = &list.Items[i]
				}
			}
		} else {
			attempt = w.attempt("github", 1)
			w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
		}
		attempt.Status.Conditions = nil
		attempt.Status.ClaimedAt = &metav1.Time{Time: time.Now().Add(-connect.SettleTimeout)}
		if err := env.Client.Status().Update(t.Context(), attempt); err != nil {
			t.Fatal(err)
		}
		w.awaitAttempt(attempt, row.reason)
		if (attempt.Status.Account != "") != row.stored {
			t.Errorf("%s: account %q", name, attempt.Status.Account)
		}
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestAnAttemptMayComeALittleBeforeItsConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	attempt := w.attempt("github", 1)
	w.apply("github", w.inline(""))
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
}

func TestAnAttemptIsRemovedWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.apply("github", w.inline(""))
	attempt := w.attempt("github", 1)
	w.awaitAttempt(attempt, v1alpha1.ReasonWaitingForBrowser)
	if response, err := http.Get(attempt.Status.AuthorizationURL); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("without a state: %v, %v", response, err)
	}
	attempt.Status.ExpiresAt = &metav1.Time{Time: time.Now().Add(-time.Second)}
	if err := env.Client.Status().Update(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	w.eventually("the attempt is gone", func() (bool, string) {
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(attempt), attempt)
		return client.IgnoreNotFound(err) == nil && err != nil, strconv.FormatBool(err == nil)
	})
}
