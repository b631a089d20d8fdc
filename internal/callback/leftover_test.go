// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// Proxies take 8 KiB of cookies: somebody who connects one account after the other must not be locked out.
func TestNoCookieIsLeftOfAnAccountThatIsConnected(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	page, err := b.Connect(t.Context(), r.plugin(t, r.conn).start, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page, connect.Connected)
	if left := b.Cookies(r.PublicURL); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Nor must somebody whose browser is sent through the addresses of many attempts.
func TestABrowserMeetsFewAttemptsAtOnce(t *testing.T) {
	r := newRig(t)
	b := &idp.Browser{}
	for range maxBrowsers + 3 {
		attempt := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
		if page := open(t, b, r.address(attempt)); page.Status != 200 {
			t.Fatalf("status %d: %s", page.Status, page.Body)
		}
		if n := len(b.Cookies(r.PublicURL)); n > maxBrowsers {
			t.Fatalf("%d cookies", n)
		}
	}
	if n := len(b.Cookies(r.PublicURL)); n == 0 {
		t.Error("the last one has no cookie")
	}
}

// Whoever may delete and create attempts can give the name of one to another while the operator works.
func TestAnOutcomeIsNotWrittenOnAnotherAttemptOfTheName(t *testing.T) {
	r := newRig(t)
	worked := r.attempt(t, r.conn, v1alpha1.OAuthAuthorizationSpec{Method: v1alpha1.PairingCode})
	if err := env.Client.Delete(t.Context(), worked.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	other := &v1alpha1.OAuthAuthorization{ObjectMeta: metav1.ObjectMeta{Namespace: worked.Namespace, Name: worked.Name}, Spec: worked.Spec}
	if err := env.Client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(t.Context(), worked, &connect.Result{Verdict: connect.Connected, Account: "alice"}); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil || connect.Completed(other) {
		t.Errorf("%v: %+v", err, other.Status)
	}
}
