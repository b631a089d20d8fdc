// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const requesterPolicy = "oauth-operator-requester"

func attempt(namespace, requester string, method v1alpha1.PairingMethod) *v1alpha1.OAuthAuthorization {
	a := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "github-", Namespace: namespace},
		Spec:       v1alpha1.OAuthAuthorizationSpec{Connection: "github", Requester: requester, Method: method},
	}
	if method == v1alpha1.PairingLoopback {
		a.Spec.Loopback = &v1alpha1.Loopback{Address: "127.0.0.1", Port: 8000}
	}
	return a
}

// What kubectl oauth adds to an attempt.
var (
	pairing  = `{"spec":{"browser":{"hash":"` + strings.Repeat("a", 64) + `","proofHash":"` + strings.Repeat("b", 64) + `"}}}`
	response = `{"spec":{"response":{"code":"abc"}}}`
)

func TestAnAttemptIsMadeInOnesOwnNameOnly(t *testing.T) {
	namespace := env.Namespace(t)
	alice := person(t, namespace, "alice", editRole, ownersRole)
	for _, method := range []v1alpha1.PairingMethod{v1alpha1.PairingLoopback, v1alpha1.PairingCode, v1alpha1.PairingDevice} {
		taken(t, "her own name", alice.Create(t.Context(), attempt(namespace, "alice", method)))
		refused(t, "another's name", alice.Create(t.Context(), attempt(namespace, "bob", method)),
			requesterPolicy, `spec.requester is "bob" and has to be "alice"`)
		refused(t, "no name", alice.Create(t.Context(), attempt(namespace, "", method)), requesterPolicy, `has to be "alice"`)
	}
	refused(t, "the administrator, who writes any other object",
		env.Client.Create(t.Context(), attempt(namespace, "alice", v1alpha1.PairingLoopback)), requesterPolicy)
}

func TestNobodyGoesOnWithAnothersAttempt(t *testing.T) {
	namespace := env.Namespace(t)
	alice := person(t, namespace, "alice", editRole, ownersRole)
	bob := person(t, namespace, "bob", editRole, ownersRole)
	hers := attempt(namespace, "alice", v1alpha1.PairingLoopback)
	if err := alice.Create(t.Context(), hers); err != nil {
		t.Fatal(err)
	}
	for what, patch := range map[string]string{"his browser": pairing, "his response": response} {
		refused(t, what, change(t, bob, hers, patch), requesterPolicy, `only "alice"`)
	}
	if err := change(t, bob, hers, `{"spec":{"requester":"bob"}}`); !apierrors.IsInvalid(err) {
		t.Errorf("his name: got %v, want Invalid: the name stays", err)
	}
	taken(t, "her browser", change(t, alice, hers, pairing))
	taken(t, "her response", change(t, alice, hers, response))
	taken(t, "his label", change(t, bob, hers, `{"metadata":{"labels":{"a":"b"}}}`))
	taken(t, "his clearing away", bob.Delete(t.Context(), hers))
}

func TestOnlyTheOperatorVouchesForVisitorsOfItsPages(t *testing.T) {
	namespace := env.Namespace(t)
	alice := person(t, namespace, "alice", editRole, ownersRole)
	for method, requester := range map[v1alpha1.PairingMethod]string{v1alpha1.PairingSignIn: "alice", v1alpha1.PairingLink: ""} {
		his := attempt(namespace, requester, method)
		taken(t, "the operator's "+string(method), operator(t).Create(t.Context(), his))
		refused(t, "her own name with "+string(method), alice.Create(t.Context(), attempt(namespace, "alice", method)),
			requesterPolicy, "method "+string(method)+" is for the pages of the operator", "Loopback, Code or Device")
		refused(t, "going on with "+string(method), change(t, alice, his, response), requesterPolicy)
	}
}

func TestWhoMayOnlyViewCannotConnect(t *testing.T) {
	namespace := env.Namespace(t)
	victor := person(t, namespace, "victor", viewRole)
	refused(t, "creating", victor.Create(t.Context(), attempt(namespace, "victor", v1alpha1.PairingLoopback)),
		"cannot create resource")
	alice := person(t, namespace, "alice", editRole, ownersRole)
	hers := attempt(namespace, "alice", v1alpha1.PairingLoopback)
	if err := alice.Create(t.Context(), hers); err != nil {
		t.Fatal(err)
	}
	refused(t, "pairing", change(t, victor, hers, pairing), "cannot patch resource")
}
