// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

func TestConnectPairsTheBrowserAndEndsWithWhatWasConnected(t *testing.T) {
	r := newConnectRig(t, nil)
	r.operate(func(o *operator) {
		spec := o.attempt().Spec
		if spec.Connection != "github" || spec.Requester != "alice" || spec.Method != v1alpha1.PairingLoopback || spec.Loopback.Address != "127.0.0.1" {
			t.Errorf("the attempt is %+v", spec)
		}
		if owners := o.attempt().OwnerReferences; len(owners) != 1 || owners[0].Kind != "OAuthConnection" || owners[0].Name != "github" {
			t.Errorf("its owners are %v", owners)
		}
		o.admit()
		o.says("Waiting for the browser")
		o.meet()
		o.redirect()
		o.claim()
		o.complete("octocat")
		o.publish(nil)
	})
	release := make(chan struct{})
	r.connecting.open = func(address string) error { <-release; return r.browse(address) }
	r.actors.Go(func() {
		o := &operator{connectRig: r}
		o.says("Waiting for the browser")
		close(release)
	})
	out, said, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`Your browser opens. If it does not, open this address on this machine:

  ADDRESS

Waiting for the browser ...
This is your browser. Waiting for you to go on in it ...
Waiting for you to sign in and consent at the provider ...
Back from the provider. The operator asks it for the token ...
Saved. Waiting for the Secret ...
`, said); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`Connected octocat at GitHub.
  Secret    github-token in namespace team
  Scopes    repo read:org
  Refresh   in 7h
`, out); diff != "" {
		t.Error(diff)
	}
	if raw := r.errOut.String() + r.out.String(); strings.Contains(raw, r.proofs[0]) {
		t.Error("the proof was printed")
	}
}

func TestConnectHandsTheProvidersResponseOverWithRedirectLoopback(t *testing.T) {
	r := newConnectRig(t, func(c *v1alpha1.OAuthConnection) { c.Spec.Redirect = v1alpha1.RedirectLoopback })
	r.operate(func(o *operator) {
		l := o.attempt().Spec.Loopback
		back := fmt.Sprintf("http://%s:%d/callback/ns/%s/github", l.Address, l.Port, o.namespace)
		o.write(func(attempt *v1alpha1.OAuthAuthorization) {
			attempt.Status.AuthorizationURL = o.pages.URL + "/auth?client_id=x&redirect_uri=" + url.QueryEscape(back)
		})
		o.until("the response", func() bool { return o.attempt().Spec.Response != nil })
		want := v1alpha1.AuthorizationResponse{Code: "the-code", Issuer: "https://idp.example.com"}
		if got := *o.attempt().Spec.Response; !reflect.DeepEqual(got, want) {
			t.Errorf("the response is %v", got)
		}
		o.claim()
		o.complete("octocat")
		o.publish(func(s *v1alpha1.OAuthConnectionStatus) { s.RefreshAt, s.ExpiresAt, s.Scopes = nil, nil, nil })
	})
	pages := make(chan string, 1)
	r.connecting.open = func(address string) error {
		l := &localRig{host: strings.TrimPrefix(r.pages.URL, "http://")}
		r.opened = []string{address}
		parsed, err := url.Parse(address)
		if err != nil {
			return err
		}
		redirect, _ := l.get(t, http.MethodGet, parsed.RequestURI(), nil)
		back, err := redirect.Location()
		if err != nil {
			return err
		}
		l.host = back.Host
		_, page := l.get(t, http.MethodGet, back.RequestURI(), nil)
		pages <- page
		return nil
	}
	out, said, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	if page := <-pages; !strings.Contains(page, connectedPage.title) {
		t.Errorf("the browser was told %s", page)
	}
	if strings.Contains(said+out, "the-code") {
		t.Error("the code was printed")
	}
	if diff := cmp.Diff(`Connected octocat at GitHub.
  Secret    github-token in namespace team
  Scopes    the provider's default
  Refresh   not needed: the token does not expire
`, out); diff != "" {
		t.Error(diff)
	}
}

func TestConnectTakesATypedCodeAndAsksAgainForOneOfTheWrongForm(t *testing.T) {
	r := newConnectRig(t, nil)
	r.connecting.options.Code = true
	r.operate(func(o *operator) {
		if spec := o.attempt().Spec; spec.Method != v1alpha1.PairingCode || spec.Loopback != nil {
			t.Errorf("the attempt is %+v", spec)
		}
		o.admit()
		o.says("Type it here")
		fmt.Fprintln(o.keyboard, "BCDF-GHJ")
		o.says("That is no code")
		fmt.Fprintln(o.keyboard, "bcdf ghjk")
		o.until("the code", func() bool { return o.attempt().Spec.Browser != nil })
		if got := *o.attempt().Spec.Browser; got != (v1alpha1.PairedBrowser{Code: "BCDF-GHJK"}) {
			t.Errorf("the browser is %v", got)
		}
		o.says("by the button")
		o.claim()
		o.complete("octocat")
		o.publish(nil)
	})
	_, said, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`Open this address in a browser, on any machine:

  https://oauth.example.com/authorize/1

The page shows a code. Type it here: 
That is no code: it has eight letters and no vowels, as in BCDF-GHJK.
The page shows a code. Type it here: 
Waiting for you to go on in the browser, by the button below the code ...
Back from the provider. The operator asks it for the token ...
Saved. Waiting for the Secret ...
`, said); diff != "" {
		t.Error(diff)
	}
}

func TestConnectWithoutAnybodyToTypeTheCodeSaysSo(t *testing.T) {
	r := newConnectRig(t, nil)
	r.connecting.options.Code = true
	r.operate(func(o *operator) {
		o.admit()
		_ = o.keyboard.Close()
	})
	_, said, err := r.run()
	if err == nil || !strings.Contains(said, "error: nothing was typed") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestConnectRefusesBeforeAnythingIsMade(t *testing.T) {
	edit := func(change func(*v1alpha1.OAuthConnectionSpec)) func(*v1alpha1.OAuthConnection) {
		return func(c *v1alpha1.OAuthConnection) { change(&c.Spec) }
	}
	for name, tc := range map[string]struct {
		conn    func(*v1alpha1.OAuthConnection)
		roles   []string
		command func(*connecting)
		want    string
	}{
		"no such connection": {
			command: func(c *connecting) { c.name = "gitlab" },
			want:    "error: there is no OAuthConnection \"gitlab\" in namespace team\n",
		},
		"suspended": {
			conn: edit(func(s *v1alpha1.OAuthConnectionSpec) { s.Suspend = true }),
			want: "error: OAuthConnection github is suspended: an account can be connected once that is lifted\n" +
				"hint: kubectl -n team patch oauthconnection github --type=merge -p '{\"spec\":{\"suspend\":false}}'\n",
		},
		"no person needed": {
			conn: edit(func(s *v1alpha1.OAuthConnectionSpec) { s.Grant = v1alpha1.GrantClientCredentials }),
			want: "error: OAuthConnection github needs no person: its client acts for itself (grant ClientCredentials)\n" +
				"hint: kubectl oauth status github -n team\n",
		},
		"a code with redirect Loopback": {
			conn:    edit(func(s *v1alpha1.OAuthConnectionSpec) { s.Redirect = v1alpha1.RedirectLoopback }),
			command: func(c *connecting) { c.options.Code = true },
			want: "error: OAuthConnection github has redirect Loopback: the provider sends the browser back to this machine, so --code cannot help\n" +
				"hint: kubectl oauth connect github -n team\n",
		},
		"connected already, and nobody to ask": {
			conn: connectedBefore,
			want: "error: OAuthConnection github is connected already, to octocat\n" +
				"hint: to replace that: kubectl oauth connect github --yes -n team\n",
		},
		"no right to connect accounts": {
			roles: []string{"oauth-operator-view"},
			want: "error: you may not connect accounts in namespace team: ask for ClusterRole edit there, which contains oauth-operator-edit\n" +
				"hint: somebody who may has to run: kubectl -n team create rolebinding connect-accounts --clusterrole=edit --user=alice\n",
		},
		"no right at all": {
			roles: []string{"system:basic-user"},
			want:  "oauthconnections.oauth-operator.dev \"github\" is forbidden",
		},
		"not installed": {
			command: func(c *connecting) { // the API server's own answer to a group that it does not know
				elsewhere := rest.CopyConfig(env.Config)
				elsewhere.Host += "/elsewhere"
				if err := testenv.WriteKubeconfig(*c.flags.KubeConfig, elsewhere); err != nil {
					t.Fatal(err)
				}
			},
			want: "error: oauth-operator is not installed in this cluster, or is too old",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newConnectRig(t, tc.conn, tc.roles...)
			if tc.command != nil {
				tc.command(r.connecting)
			}
			out, said, err := r.run()
			if err == nil || out != "" || !strings.Contains(said, tc.want) {
				t.Errorf("got %v and %q:\n%s", err, out, said)
			}
			if r.connecting.attempt != nil || r.connecting.listener != nil {
				t.Error("something was made")
			}
		})
	}
}

func TestConnectSaysThatThePortIsTakenAndMakesNothing(t *testing.T) {
	taken, err := listenLoopback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := newConnectRig(t, nil)
	r.connecting.options.Port = int(loopbackOf(taken).Port)
	_, said, err := r.run()
	if err == nil || !strings.Contains(said, "is taken by another program: choose another --port") || r.connecting.attempt != nil {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestConnectAsksBeforeAnAccountIsReplaced(t *testing.T) {
	const question = "github is connected already, to octocat. Replace it? [y/N] "
	for answer, replaced := range map[string]bool{"y": true, "Yes": true, "n": false, "": false, "yellow": false} {
		t.Run("answer "+answer, func(t *testing.T) {
			r := newConnectRig(t, connectedBefore)
			r.connecting.asks = true
			r.operate(func(o *operator) { o.connect("hubot"); o.publish(nil) })
			r.actors.Go(func() { fmt.Fprintln(r.keyboard, answer) })
			out, said, err := r.run()
			r.interrupt() // the operator has no work where nothing is replaced
			if !strings.HasPrefix(said, question) {
				t.Errorf("asked:\n%s", said)
			}
			switch {
			case replaced && (err != nil || !strings.HasPrefix(out, "Connected hubot")):
				t.Errorf("got %v and %q", err, out)
			case !replaced && (err == nil || !strings.Contains(said, "not replaced: octocat stays connected") || r.connecting.attempt != nil):
				t.Errorf("got %v:\n%s", err, said)
			}
		})
	}
}

func TestConnectReplacesWithoutAskingWhereYesIsSaid(t *testing.T) {
	r := newConnectRig(t, connectedBefore)
	r.connecting.options.Yes = true
	r.operate(func(o *operator) { o.connect("hubot"); o.publish(nil) })
	if out, said, err := r.run(); err != nil || !strings.HasPrefix(out, "Connected hubot") || strings.Contains(said, "Replace") {
		t.Errorf("got %v and %q:\n%s", err, out, said)
	}
}

func TestConnectSaysHowAnAttemptEndedAndWhatToDoNext(t *testing.T) {
	const again = "hint: to try again: kubectl oauth connect github -n team\n"
	const look = "kubectl oauth status github -n team\n"
	for reason, tc := range map[string]struct{ message, want string }{
		v1alpha1.ReasonDenied:             {"the consent was denied", "error: the consent was denied: nothing was connected\n" + again},
		v1alpha1.ReasonResponseRefused:    {"the response comes from another provider", "error: the response comes from another provider: nothing was connected\n" + again},
		v1alpha1.ReasonExchangeFailed:     {"the provider gave no usable answer", "error: the provider gave no usable answer: nothing was connected\nhint: look what is wrong, then try again: " + look},
		v1alpha1.ReasonConnectionNotReady: {"Secret github-client does not exist", "error: nothing was connected: Secret github-client does not exist\nhint: what it needs: " + look},
		v1alpha1.ReasonConnectionNotFound: {"this connection does not exist any more", "hint: those that exist: kubectl oauth status -n team\n"},
		v1alpha1.ReasonMethodNotAllowed:   {"not switched on", "error: not switched on: nothing was connected\nhint: the ways that are open are in the connection's message: " + look},
		v1alpha1.ReasonAccountNotExpected: {"account hubot\x1b[2J\nconsented", "error: account hubot?[2J?consented: nothing was connected\n" +
			"hint: sign out at the provider, or choose the other account there, then: kubectl oauth connect github -n team\n"},
	} {
		t.Run(reason, func(t *testing.T) {
			r := newConnectRig(t, nil)
			r.operate(func(o *operator) { o.fail(reason, tc.message) })
			out, said, err := r.run()
			if err == nil || out != "" || !strings.Contains(said, tc.want) {
				t.Errorf("got %v and %q:\n%s", err, out, said)
			}
		})
	}
}

func TestAFailedReplacementSaysThatTheOldAccountStays(t *testing.T) {
	r := newConnectRig(t, connectedBefore)
	r.connecting.options.Yes = true
	r.operate(func(o *operator) { o.admit(); o.meet(); o.fail(v1alpha1.ReasonDenied, "the consent was denied") })
	if _, said, err := r.run(); err == nil || !strings.Contains(said, "error: the consent was denied: octocat stays connected\n") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestTheBrowserIsToldThatNothingWasConnectedWithRedirectLoopback(t *testing.T) {
	r := newConnectRig(t, func(c *v1alpha1.OAuthConnection) { c.Spec.Redirect = v1alpha1.RedirectLoopback })
	r.operate(func(o *operator) {
		back := fmt.Sprintf("http://127.0.0.1:%d/callback/cluster/github", o.attempt().Spec.Loopback.Port)
		o.write(func(attempt *v1alpha1.OAuthAuthorization) {
			attempt.Status.AuthorizationURL = o.pages.URL + "/auth?redirect_uri=" + url.QueryEscape(back)
		})
		o.until("the response", func() bool { return o.attempt().Spec.Response != nil })
		o.fail(v1alpha1.ReasonDenied, "the consent was denied")
	})
	pages := make(chan string, 1)
	r.connecting.open = func(address string) error {
		parsed, err := url.Parse(address)
		if err != nil {
			return err
		}
		back, err := url.Parse(parsed.Query().Get("redirect_uri"))
		if err != nil {
			return err
		}
		_, page := (&localRig{host: back.Host}).get(t, http.MethodGet, back.Path+"?error=access_denied&state="+parsed.Query().Get("state"), nil)
		pages <- page
		return nil
	}
	if _, _, err := r.run(); err == nil {
		t.Error("no error")
	}
	if page := <-pages; !strings.Contains(page, notConnectedPage.title) {
		t.Errorf("the browser was told %s", page)
	}
}

func TestConnectSaysThatTheOperatorDoesNotAnswer(t *testing.T) {
	r := newConnectRig(t, nil)
	r.connecting.patience.Operator = 50 * time.Millisecond
	_, said, err := r.run()
	if diff := cmp.Diff("error: the operator did not answer within 50ms: nothing was connected\n"+
		"hint: is it running? kubectl get deployments -A -l app.kubernetes.io/name=oauth-operator\n", said); diff != "" || err == nil {
		t.Errorf("got %v: %s", err, diff)
	}
}

func TestConnectGivesUpWhenNobodyComesBack(t *testing.T) {
	const want = "error: nobody finished in the browser within 1s: nothing was connected\nhint: to try again: kubectl oauth connect github -n team\n"
	for name, tc := range map[string]struct {
		timeout time.Duration
		script  func(*operator)
		want    string
	}{
		"the browser was closed": {time.Second, (*operator).admit, want},
		"the attempt expired": {time.Hour, func(o *operator) {
			o.write(func(attempt *v1alpha1.OAuthAuthorization) {
				attempt.Status.AuthorizationURL = o.pages.URL + "/authorize/1"
				attempt.Status.ExpiresAt = &metav1.Time{Time: attempt.CreationTimestamp.Add(time.Second)}
			})
		}, want},
		"the attempt was removed": {time.Hour, func(o *operator) {
			o.admit()
			o.says("Waiting for the browser")
			o.check(env.Client.Delete(o.ctx, o.attempt()))
		}, "error: the OAuthAuthorization was deleted, by somebody or, after ten minutes, by the operator: nothing was connected\n"},
		"the connection was removed, and the attempt with it": {time.Hour, func(o *operator) {
			o.admit()
			o.says("Waiting for the browser")
			o.check(env.Client.DeleteAllOf(o.ctx, &v1alpha1.OAuthConnection{}, client.InNamespace(o.namespace)))
			o.check(env.Client.Delete(o.ctx, o.attempt()))
		}, "error: OAuthConnection github was deleted meanwhile: no account is connected\nhint: those that exist: kubectl oauth status -n team\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newConnectRig(t, nil)
			r.connecting.options.Timeout = tc.timeout
			r.connecting.options.NoBrowser = true
			r.operate(tc.script)
			if _, said, err := r.run(); err == nil || !strings.Contains(said, tc.want) {
				t.Errorf("got %v:\n%s", err, said)
			}
		})
	}
}

func TestSomebodyWhoWasInTimeIsNotTurnedAwayBecauseTheProviderIsSlow(t *testing.T) {
	claimed := func(then func(*operator)) *connectRig {
		r := newConnectRig(t, nil)
		r.connecting.options.Timeout, r.connecting.options.NoBrowser = time.Nanosecond, true
		r.operate(func(o *operator) {
			o.write(func(attempt *v1alpha1.OAuthAuthorization) {
				attempt.Status.AuthorizationURL = o.pages.URL + "/authorize/1"
				attempt.Status.ClaimedAt = &metav1.Time{Time: time.Now()}
			})
			o.says("Back from the provider")
			then(o)
		})
		return r
	}
	r := claimed(func(o *operator) { o.complete("octocat"); o.publish(nil) })
	if out, said, err := r.run(); err != nil || !strings.HasPrefix(out, "Connected octocat") {
		t.Errorf("got %v:\n%s", err, said)
	}
	r = claimed(func(*operator) {})
	r.connecting.patience.Settle = time.Second
	if _, said, err := r.run(); err == nil || !strings.Contains(said, "the operator has not said what became of it\nhint: kubectl oauth status github") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestStrayRequestsNeverEndTheWaiting(t *testing.T) {
	r := newConnectRig(t, nil)
	r.operate(func(o *operator) { o.connect("octocat"); o.publish(nil) })
	r.connecting.open = func(address string) error {
		l := &localRig{host: r.connecting.listener.Addr().String()}
		for _, target := range []string{"/", "/favicon.ico", "/pair", "/pair?state=x&browser=" + hashA, "/callback/ns/team/github?code=x"} {
			if resp, _ := l.get(t, http.MethodGet, target, nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s gets %s", target, resp.Status)
			}
		}
		return r.browse(address)
	}
	if out, said, err := r.run(); err != nil || !strings.HasPrefix(out, "Connected octocat") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestABrowserThatDoesNotStartIsNotFatal(t *testing.T) {
	r := newConnectRig(t, nil)
	r.operate(func(o *operator) {
		o.admit()
		o.says("The browser could not be opened: open the address above yourself.")
		_ = o.browse(r.openings()[0])
		o.meet()
		o.redirect()
		o.claim()
		o.complete("octocat")
		o.publish(nil)
	})
	r.connecting.open = func(address string) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.opened = append(r.opened, address)
		return errors.New("there is no browser")
	}
	out, said, err := r.run()
	if err != nil || !strings.HasPrefix(out, "Connected octocat") || !strings.Contains(said, "ADDRESS") || strings.Contains(said, "there is no browser") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestAnAddressThatIsNoWebPageIsNotOpened(t *testing.T) {
	r := newConnectRig(t, nil)
	r.connecting.open = func(address string) error { t.Errorf("opened %s", address); return nil }
	r.operate(func(o *operator) {
		o.write(func(attempt *v1alpha1.OAuthAuthorization) { attempt.Status.AuthorizationURL = "file:///etc/passwd" })
	})
	if _, said, err := r.run(); !errors.Is(err, error(errUnknownAddress)) || strings.Contains(said, "passwd") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestConnectWorksWhereWatchingIsForbidden(t *testing.T) {
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "no-watch-"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{"oauth-operator.dev"},
			Resources: []string{"oauthconnections", "oauthauthorizations"}, Verbs: []string{"get", "create", "patch", "delete"}}},
	}
	if err := env.Client.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	r := newConnectRig(t, nil, role.Name)
	eventually(t, "the rights", func() bool { return r.may("alice", "create") })
	r.operate(func(o *operator) { o.connect("octocat"); o.publish(nil) })
	if out, said, err := r.run(); err != nil || !strings.HasPrefix(out, "Connected octocat") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestAnAPIServerThatFailsForAMomentEndsNothing(t *testing.T) {
	r := newConnectRig(t, nil)
	cluster, err := r.connecting.client()
	if err != nil {
		t.Fatal(err)
	}
	down := apierrors.NewServiceUnavailable("the API server is being updated")
	var reads, patches atomic.Int32
	r.connecting.cluster = interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if reads.Add(1)%2 == 0 {
				return down
			}
			return c.Get(ctx, key, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if patches.Add(1) == 1 {
				return down
			}
			return c.Patch(ctx, o, p, opts...)
		},
		Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
			return nil, down
		},
	})
	r.operate(func(o *operator) {
		o.admit()
		o.says("The API server did not take it: the API server is being updated\n")
		_ = o.browse(r.openings()[0]) // the person reloads the page
		o.meet()
		o.redirect()
		o.claim()
		o.complete("octocat")
		o.publish(nil)
	})
	if out, said, err := r.run(); err != nil || !strings.HasPrefix(out, "Connected octocat") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestDefinitionsThatAreTooOldAreNoticed(t *testing.T) {
	r := newConnectRig(t, nil)
	cluster, err := r.connecting.client()
	if err != nil {
		t.Fatal(err)
	}
	r.connecting.cluster = interceptor.NewClient(cluster, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			err := c.Create(ctx, o, opts...)
			if attempt, ok := o.(*v1alpha1.OAuthAuthorization); ok { // as fields are dropped that are not known
				attempt.Spec = v1alpha1.OAuthAuthorizationSpec{Connection: attempt.Spec.Connection}
			}
			return err
		},
	})
	if _, said, err := r.run(); err == nil || !strings.Contains(said, "CustomResourceDefinitions in this cluster are older than kubectl oauth: nothing was connected") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestConnectWaitsForTheSecretOfThisConsent(t *testing.T) {
	failing := func(condition, reason, message string) func(*v1alpha1.OAuthConnectionStatus) {
		return func(s *v1alpha1.OAuthConnectionStatus) {
			for _, c := range []metav1.Condition{
				{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message},
				{Type: condition, Status: metav1.ConditionTrue, Reason: reason, Message: message},
			} {
				meta.SetStatusCondition(&s.Conditions, c)
			}
		}
	}
	const hint = "\nhint: kubectl oauth status github -n team\n"
	for name, tc := range map[string]struct {
		publish  func(*operator)
		want     string
		patience time.Duration
	}{
		"stalled": {func(o *operator) {
			o.publish(failing(v1alpha1.StalledCondition, v1alpha1.ReasonSecretConflict, "Secret github-token belongs to Deployment web"))
		}, "error: octocat is connected, but its Secret cannot be written: Secret github-token belongs to Deployment web" + hint, time.Minute},
		"too slow": {func(o *operator) {
			o.publish(failing(v1alpha1.ReconcilingCondition, v1alpha1.ReasonPublishFailed, "the API server did not take Secret github-token"))
		}, "error: octocat is connected, but its Secret is not written after 5s: the API server did not take Secret github-token" + hint, 5 * time.Second},
		"the status of the token before": {func(o *operator) {
			o.publish(func(s *v1alpha1.OAuthConnectionStatus) {
				s.LastRefreshTime = &metav1.Time{Time: time.Now().Add(-time.Hour)}
			})
		}, "error: octocat is connected, but its Secret is not written after 1s" + hint, time.Second},
		"nothing changes": {func(*operator) {}, "error: octocat is connected, but its Secret is not written after 1s" + hint, time.Second},
		"deleted": {func(o *operator) {
			o.check(env.Client.Delete(o.ctx, &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "github"}}))
		}, "error: octocat is connected, but OAuthConnection github was deleted meanwhile" + hint, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			// Its clock is ahead: what was there before looks newer than the consent.
			r := newConnectRig(t, func(c *v1alpha1.OAuthConnection) { c.Status = readyStatus(time.Now().Add(time.Hour)) })
			r.connecting.options.Yes = true
			r.connecting.patience.Secret = tc.patience
			r.operate(func(o *operator) { o.connect("octocat"); tc.publish(o) })
			if out, said, err := r.run(); err == nil || out != "" || !strings.Contains(said, tc.want) {
				t.Errorf("got %v and %q:\n%s", err, out, said)
			}
		})
	}
}

func TestFewerScopesThanAskedForAreSaid(t *testing.T) {
	r := newConnectRig(t, nil)
	r.operate(func(o *operator) {
		o.connect("")
		o.publish(func(s *v1alpha1.OAuthConnectionStatus) {
			s.Scopes, s.RefreshAt, s.Provider = []string{"repo"}, nil, ""
			meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: v1alpha1.AuthorizedCondition, Status: metav1.ConditionTrue,
				Reason: v1alpha1.ReasonScopesReduced, Message: "read:org was not granted"})
		})
	})
	out, said, err := r.run()
	if diff := cmp.Diff(`Connected an account whose name is not known.
  Secret    github-token in namespace team
  Scopes    repo (read:org was not granted)
  Refresh   not possible: the token expires in 8h, and an account has to be connected again
`, out); diff != "" || err != nil {
		t.Errorf("%v: %s\n%s", err, diff, said)
	}
}

func TestCtrlCAtAnyMomentLeavesNothingBehind(t *testing.T) {
	for name, tc := range map[string]struct {
		script func(*operator)
		want   string
	}{
		"before the operator answers": {func(*operator) {}, "Interrupted: nothing was connected.\n"},
		"before the browser comes":    {func(o *operator) { o.admit(); o.says("Waiting for the browser") }, "Interrupted: nothing was connected.\n"},
		"before the consent":          {func(o *operator) { o.admit(); _ = o.browse(o.address()); o.meet() }, "Interrupted: nothing was connected.\n"},
		"while the token is obtained": {func(o *operator) { o.admit(); o.claim() },
			"Interrupted while the operator was at work: an account may be connected. To see it: kubectl oauth status github -n team\n"},
		"before the Secret is written": {func(o *operator) { o.admit(); o.claim(); o.complete("octocat") },
			"Interrupted: octocat was connected already. How it goes on: kubectl oauth status github -n team\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newConnectRig(t, nil)
			r.connecting.options.NoBrowser = true
			r.operate(func(o *operator) { tc.script(o); o.interrupt() })
			_, said, err := r.run()
			if !errors.Is(err, context.Canceled) || !strings.HasSuffix(said, tc.want) {
				t.Errorf("got %v:\n%s", err, said)
			}
		})
	}
}

// address is what was printed for the person.
func (o *operator) address() string {
	o.says("/authorize/")
	_, rest, _ := strings.Cut(o.errOut.String(), "\n\n  ")
	address, _, _ := strings.Cut(rest, "\n")
	return address
}

func TestCtrlCAtAQuestionLeavesNothingBehind(t *testing.T) {
	r := newConnectRig(t, connectedBefore)
	r.connecting.asks = true
	r.actors.Go(func() {
		o := &operator{connectRig: r}
		o.says("Replace it?")
		o.interrupt()
	})
	if _, said, err := r.run(); !errors.Is(err, context.Canceled) || !strings.HasSuffix(said, "Interrupted: octocat stays connected.\n") {
		t.Errorf("got %v:\n%s", err, said)
	}
}

func TestTheProgramEndsWith130AfterASignal(t *testing.T) {
	r := newConnectRig(t, nil)
	program := exec.CommandContext(t.Context(), "kubectl-oauth", "connect", "github", "--no-browser", "--kubeconfig", r.kubeconfig, "-n", r.namespace)
	program.Stdout, program.Stderr = &r.out, &r.errOut
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	r.operate(func(o *operator) {
		o.admit()
		o.says("Waiting for the browser")
		o.check(program.Process.Signal(os.Interrupt))
	})
	err := program.Wait()
	if code := program.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, %v", code, err)
	}
	r.nothingLeft()
	if said := r.errOut.String(); !strings.HasSuffix(said, "Interrupted: nothing was connected.\n") {
		t.Error(said)
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, flags := range [][]string{{"--timeout", "0s"}, {"--timeout", "-1m"}, {"--port", "-1"}, {"--port", "65536"}, {"--code", "--port", "8000"}, {"gitlab"}} {
		a := newApp("kubectl-oauth", genericiooptions.NewTestIOStreamsDiscard(), clock.RealClock{})
		root := newRootCommand(a)
		root.SetArgs(append([]string{"connect", "github", "--kubeconfig", "/dev/null"}, flags...))
		err := root.ExecuteContext(t.Context())
		if err == nil || strings.Contains(a.explain(err).Text, "kubeconfig") {
			t.Errorf("%v: got %v", flags, err)
		}
	}
}
