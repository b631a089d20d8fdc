// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

func televised(c *v1alpha1.OAuthConnection) { c.Spec.Grant = v1alpha1.GrantDeviceCode }

// showCode is the operator's word for an attempt with a device code.
func (o *operator) showCode(change func(*v1alpha1.OAuthAuthorizationStatus)) {
	o.write(func(attempt *v1alpha1.OAuthAuthorization) {
		attempt.Status.UserCode = "WDJB-MJHT"
		attempt.Status.VerificationURI = o.pages.URL + "/device"
		attempt.Status.VerificationURIComplete = o.pages.URL + "/device?user_code=WDJB-MJHT"
		attempt.Status.ExpiresAt = &metav1.Time{Time: attempt.CreationTimestamp.Add(5 * time.Minute)}
		if change != nil {
			change(&attempt.Status)
		}
		o.condition(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForProvider, "waiting")(attempt)
	})
}

func TestConnectShowsTheProvidersCodeAndOpensItsPage(t *testing.T) {
	r := newConnectRig(t, televised)
	r.operate(func(o *operator) {
		if spec := o.attempt().Spec; spec.Method != v1alpha1.PairingDevice || spec.Requester != "alice" || spec.Loopback != nil {
			t.Errorf("the attempt is %+v", spec)
		}
		o.showCode(nil)
		o.says("sign in and consent")
		o.complete("octocat")
		o.publish(nil)
	})
	out, said, err := r.run()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`Your browser opens. If it does not, open this address in any browser:

  https://oauth.example.com/device

and type in this code, or compare it:

  WDJB-MJHT

Whoever types it in connects their account: give it to nobody.

Waiting for you to sign in and consent at the provider ...
Saved. Waiting for the Secret ...
`, said); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(out, "Connected octocat at GitHub.\n") {
		t.Error(out)
	}
	if opened := r.openings(); len(opened) != 1 || !strings.HasSuffix(opened[0], "/device?user_code=WDJB-MJHT") {
		t.Errorf("opened %v", opened)
	}
}

func TestNoOtherPageIsOpenedThanTheOneThatIsShown(t *testing.T) {
	r := newConnectRig(t, televised)
	r.operate(func(o *operator) {
		o.showCode(func(s *v1alpha1.OAuthAuthorizationStatus) {
			s.VerificationURIComplete = "https://elsewhere.example.com/device?user_code=WDJB-MJHT"
		})
		o.says("sign in and consent")
		o.complete("octocat")
		o.publish(nil)
	})
	if _, _, err := r.run(); err != nil {
		t.Fatal(err)
	}
	if opened := r.openings(); len(opened) != 1 || !strings.HasSuffix(opened[0], "/device") || strings.Contains(opened[0], "elsewhere") {
		t.Errorf("opened %v", opened)
	}
}

func TestAnAccountThatWasConnectedBeforeByACodeIsNotTakenForTheNewOne(t *testing.T) {
	r := newConnectRig(t, func(c *v1alpha1.OAuthConnection) { televised(c); connectedBefore(c) })
	r.connecting.options.Yes = true
	r.operate(func(o *operator) {
		o.showCode(nil)
		o.complete("monalisa")
		o.publish(func(s *v1alpha1.OAuthConnectionStatus) {
			s.LastRefreshTime = r.connecting.before.Status.LastRefreshTime
			s.RefreshCount = 7
		})
		o.publish(func(s *v1alpha1.OAuthConnectionStatus) { s.Account = "monalisa" })
	})
	if out, said, err := r.run(); err != nil || r.connecting.after.Status.Account != "monalisa" {
		t.Errorf("%v\n%s\n%s", err, out, said)
	}
}

func TestAProvidersPageForCodesIsOpenedOnlyWhereItIsAWebPage(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.OAuthAuthorizationStatus){
		"the page":               func(s *v1alpha1.OAuthAuthorizationStatus) { s.VerificationURI = "file:///etc/passwd" },
		"the page with the code": func(s *v1alpha1.OAuthAuthorizationStatus) { s.VerificationURIComplete = "javascript:alert(1)" },
		"what steers a terminal": func(s *v1alpha1.OAuthAuthorizationStatus) { s.VerificationURI = "https://a.example/\x1b]0;x\a" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newConnectRig(t, televised)
			r.operate(func(o *operator) { o.showCode(change) })
			_, said, err := r.run()
			if !errors.Is(err, errUnknownAddress) || len(r.openings()) != 0 || strings.Contains(said, "\x1b") {
				t.Errorf("%v, opened %v, said %q", err, r.openings(), said)
			}
		})
	}
}

func TestACodeThatRanOutIsSaidSo(t *testing.T) {
	r := newConnectRig(t, televised)
	r.connecting.options.NoBrowser = true
	r.operate(func(o *operator) {
		o.showCode(nil)
		o.fail(v1alpha1.ReasonCodeExpired, "nobody typed the code in before it ran out")
	})
	_, said, err := r.run()
	if err == nil || !strings.Contains(said, "error: nobody typed the code in before it ran out: nothing was connected\nhint: to try again: kubectl oauth connect github -n team\n") ||
		len(r.openings()) != 0 {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestTypedCodesAndPortsHaveNothingToDoWithTheProvidersCodes(t *testing.T) {
	for _, set := range []func(*connectOptions){func(o *connectOptions) { o.Code = true }, func(o *connectOptions) { o.Port = 8000 }} {
		r := newConnectRig(t, televised)
		set(&r.connecting.options)
		if _, said, err := r.run(); err == nil || !strings.Contains(said, "--code and --port have nothing to do") {
			t.Errorf("%v\n%s", err, said)
		}
	}
}
