// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// exchangeAudience is how Microsoft Entra calls itself towards clusters.
const exchangeAudience = "api://AzureADTokenExchange"

// federated is a world without any Secret, with a ServiceAccount, and with a provider that believes what
// the API server signs, by the keys that the API server itself publishes. The client "app" is federated
// with the ServiceAccount; the provider also trades the cluster's tokens for its own.
func federated(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, namespace: env.Namespace(t), user: idp.DefaultUser()}
	issuer, keys, err := env.ServiceAccountIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trust := idp.Federation{
		Issuer: issuer, Keys: keys, Audience: exchangeAudience, Subject: "system:serviceaccount:" + w.namespace + ":robot",
	}
	w.provider, err = idp.New(idp.Options{
		Rotation: true, ReuseDetection: true, AccessTokenLifetime: time.Hour, Trusts: []idp.Federation{trust},
		Clients: []idp.Client{
			{ID: "app", Federated: []idp.Federation{trust}, RedirectBase: idp.DefaultClient().RedirectBase},
			{ID: "", Grants: []string{idp.GrantTokenExchange}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.provider.Close)
	for _, name := range []string{"robot", "other"} {
		w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}})
	}
	return w
}

func (w *world) create(obj client.Object) {
	w.Helper()
	if err := env.Client.Create(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
}

// allow is what the condition's two commands do. The API server's authorizer learns of it a moment later.
func (w *world) allow(account string) {
	w.Helper()
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: "oauth-operator-token-" + account}
	w.create(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{account}, Verbs: []string{"create"},
	}}})
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{
			Kind: rbacv1.ServiceAccountKind, Namespace: testenv.OperatorNamespace, Name: testenv.OperatorServiceAccount,
		}},
	})
	w.eventually("the right", func() (bool, string) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: testenv.OperatorUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: w.namespace, Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: account,
			},
		}}
		err := env.Client.Create(w.Context(), review)
		return err == nil && review.Status.Allowed, fmt.Sprint(err)
	})
}

// withoutSecrets is a connection of the client "app", with a ServiceAccount's token for an audience.
func withoutSecrets(grant, account, audience string) string {
	return "{provider: {issuer: ISSUER}, grant: " + grant + ", scopes: [openid, email, offline_access], client: {id: app, " +
		"authentication: ServiceAccountToken, serviceAccountRef: {name: " + account + ", audience: '" + audience + "'}}}"
}

// onlySecret fails unless the namespace has the connection's target and no other Secret.
func (w *world) onlySecret(name string) {
	w.Helper()
	secrets := &corev1.SecretList{}
	if err := env.Client.List(w.Context(), secrets, client.InNamespace(w.namespace)); err != nil {
		w.Fatal(err)
	}
	if len(secrets.Items) != 1 || secrets.Items[0].Name != name {
		w.Errorf("the namespace has %d Secrets, want only %s", len(secrets.Items), name)
	}
}

func TestAConnectionWithoutAnySecretIsReady(t *testing.T) {
	t.Parallel()
	w := federated(t)
	conn := w.apply("robot", withoutSecrets("ClientCredentials", "robot", exchangeAudience))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonServiceAccountTokenFailed)
	for _, command := range []string{
		"kubectl -n " + w.namespace + " create role oauth-operator-token-robot --verb=create --resource=serviceaccounts/token --resource-name=robot",
		"kubectl -n " + w.namespace + " create rolebinding oauth-operator-token-robot --role=oauth-operator-token-robot " +
			"--serviceaccount=" + testenv.OperatorNamespace + ":" + testenv.OperatorServiceAccount,
	} {
		if !strings.Contains(c.Message, command) {
			t.Errorf("the condition does not name the command %q: %s", command, c.Message)
		}
	}
	w.allow("robot")
	w.retry(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.onlySecret("robot")
	if !w.accepted("robot") {
		t.Error("the provider does not take the token in the Secret")
	}
	w.refreshed(conn)
	w.keepsToItself(conn)
}

// retry does not wait until the operator looks again by itself.
func (w *world) retry(conn *v1alpha1.OAuthConnection) {
	w.Helper()
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, time.Now().String())
}

// keepsToItself fails where what the provider received is in the connection or its Secret.
func (w *world) keepsToItself(conn *v1alpha1.OAuthConnection) {
	w.Helper()
	held := describe(conn)
	for _, value := range w.target(conn.Name).Data {
		held += "\n" + string(value)
	}
	if len(w.provider.Received()) == 0 {
		w.Error("the provider received no assertion")
	}
	for _, value := range w.provider.Received() {
		if strings.Contains(held, value) {
			w.Error("an assertion is in the connection or its Secret")
		}
	}
}

func TestAPersonConsentsToAClientWithoutASecret(t *testing.T) {
	t.Parallel()
	w := federated(t)
	w.allow("robot")
	conn := w.apply("alice", withoutSecrets("AuthorizationCode", "robot", exchangeAudience))
	if page := w.connect(conn); page.Status != http.StatusOK {
		t.Fatalf("the last page has status %d: %s", page.Status, page.URL.Path)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.refreshed(conn)
	w.onlySecret("alice")
	w.keepsToItself(conn)
	for _, request := range w.provider.Requests(idp.Token) {
		if request.AuthMethod != idp.PrivateKeyJWT {
			t.Errorf("a %s request authenticated by %s", request.GrantType, request.AuthMethod)
		}
	}
}

// The cluster's token is not the client's credential here but what is traded.
func TestAServiceAccountsTokenIsTradedForTheProviders(t *testing.T) {
	t.Parallel()
	for _, grant := range []v1alpha1.GrantType{v1alpha1.GrantJWTBearer, v1alpha1.GrantTokenExchange} {
		w := federated(t)
		w.allow("robot")
		conn := w.apply("robot", "{provider: {issuer: ISSUER}, grant: "+string(grant)+", scopes: [read], "+
			"subject: {serviceAccountRef: {name: robot, audience: '"+exchangeAudience+"'}}}")
		w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
		if !w.accepted("robot") {
			t.Errorf("%s: the provider does not take the token in the Secret", grant)
		}
		w.refreshed(conn)
		w.onlySecret("robot")
		w.keepsToItself(conn)
	}
}

func TestATokenOfAnotherServiceAccountOrAudienceIsNotTheClients(t *testing.T) {
	t.Parallel()
	w := federated(t)
	w.allow("other")
	w.allow("robot")
	for name, spec := range map[string]string{
		"account":  withoutSecrets("ClientCredentials", "other", exchangeAudience),
		"audience": withoutSecrets("ClientCredentials", "robot", "api://somewhere-else"),
	} {
		conn := w.apply(name, spec)
		w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonClientRejected)
	}
}

// With such a token the provider could do in the cluster what the ServiceAccount may.
func TestATokenThatTheAPIServerAcceptsIsNeverSent(t *testing.T) {
	t.Parallel()
	w := federated(t)
	w.allow("robot")
	issuer, _, err := env.ServiceAccountIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := w.apply("robot", withoutSecrets("ClientCredentials", "robot", issuer))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonServiceAccountTokenFailed)
	if !strings.Contains(c.Message, "the API server's own") {
		t.Errorf("message %q", c.Message)
	}
	if n := w.provider.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

func TestAServiceAccountThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	w := federated(t)
	w.allow("absent")
	conn := w.apply("absent", withoutSecrets("ClientCredentials", "absent", exchangeAudience))
	c := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonServiceAccountTokenFailed)
	if want := "kubectl -n " + w.namespace + " create serviceaccount absent"; !strings.Contains(c.Message, want) {
		t.Errorf("the condition does not name the command %q: %s", want, c.Message)
	}
}
