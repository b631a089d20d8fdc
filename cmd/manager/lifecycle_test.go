// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const allScopes = "scopes: [openid, email, offline_access]\n"

var rotating = idp.Options{Rotation: true, ReuseDetection: true, AccessTokenLifetime: time.Hour}

// connected is a connection after a person consented.
func (w *world) connected(name, spec string) *v1alpha1.OAuthConnection {
	w.Helper()
	conn := w.apply(name, w.inline(allScopes+spec))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if page := w.connect(conn); page.Status != http.StatusOK {
		w.Fatalf("the last page has status %d: %s", page.Status, page.URL.Path)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return conn
}

// refreshed asks for a renewal and waits for it.
func (w *world) refreshed(conn *v1alpha1.OAuthConnection) {
	w.Helper()
	count := conn.Status.RefreshCount
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, fmt.Sprint(time.Now().UnixNano()))
	w.eventually("a renewal", func() (bool, string) {
		if err := env.Client.Get(w.Context(), client.ObjectKeyFromObject(conn), conn); err != nil {
			return false, err.Error()
		}
		return conn.Status.RefreshCount == count+1, describe(conn)
	})
}

// patch changes the spec by a merge patch in YAML.
func (w *world) patch(conn *v1alpha1.OAuthConnection, spec string) {
	w.Helper()
	body, err := yaml.YAMLToJSON([]byte("spec: " + spec))
	if err != nil {
		w.Fatal(err)
	}
	if err := env.Client.Patch(w.Context(), conn, client.RawPatch("application/merge-patch+json", body)); err != nil {
		w.Fatal(err)
	}
}

// accepted says whether the provider's API takes the token in the target Secret.
func (w *world) accepted(secret string) bool {
	w.Helper()
	return w.provider.AccessTokenValid(string(w.target(secret).Data["access_token"]))
}

func (w *world) records(conn *v1alpha1.OAuthConnection) (found []corev1.Secret) {
	for _, secret := range w.secretsOfOperator() {
		if strings.Contains(secret.Name, string(conn.UID)) {
			found = append(found, secret)
		}
	}
	return found
}

func TestAPersonConsentsAndTheSecretHoldsATokenThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	secret := w.target("alice")
	for _, key := range []string{"access_token", "token_type", "expiry", "scope"} {
		if len(secret.Data[key]) == 0 {
			t.Errorf("key %s is empty", key)
		}
	}
	if len(secret.Data) != 4 {
		t.Errorf("the Secret has %d keys, want 4", len(secret.Data))
	}
	if !w.accepted("alice") {
		t.Error("the provider's API does not take the token")
	}
	if conn.Status.Account != w.user.Email || conn.Status.AuthorizationURL != "" || conn.Status.Binding.Name != "alice" {
		t.Errorf("the status is\n%s", describe(conn))
	}
	if len(w.records(conn)) != 1 {
		t.Errorf("there are %d records, want 1", len(w.records(conn)))
	}
}

func TestARenewalReplacesTheTokenAndKeepsThePreviousOneWhereAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "secret: {keepPrevious: true}")
	first := w.target("alice").Data["access_token"]
	w.refreshed(conn)
	w.eventually("the next token", func() (bool, string) {
		data := w.target("alice").Data
		return string(data["access_token"]) != string(first) && string(data["previous_access_token"]) == string(first), "the first"
	})
	if !w.accepted("alice") {
		t.Error("the provider's API does not take the token")
	}
	if w.provider.Reuses() != 0 {
		t.Error("a spent refresh token was sent again")
	}
}

func TestAClientActsForItselfWithoutAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("robot", w.inline("grant: ClientCredentials"))
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if !w.accepted("robot") {
		t.Error("the provider's API does not take the token")
	}
	if conn.Status.RedirectURI != "" || conn.Status.AuthorizationURL != "" {
		t.Error("the status speaks of a browser")
	}
}

func TestADeletedOrEditedTargetIsHealedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	w.connected("alice", "")
	token := string(w.target("alice").Data["access_token"])
	healed := func() (bool, string) {
		secret := &corev1.Secret{}
		err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "alice"}, secret)
		return err == nil && string(secret.Data["access_token"]) == token && len(secret.Data) == 4, fmt.Sprint(err, len(secret.Data))
	}
	if err := env.Client.Delete(t.Context(), w.target("alice")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the deleted target is back", healed)

	edit := []byte(`{"data":{"access_token":"ZWRpdGVk","token_type":null,"scope":null,"expiry":null}}`)
	if err := env.Client.Patch(t.Context(), w.target("alice"), client.RawPatch("application/merge-patch+json", edit)); err != nil {
		t.Fatal(err)
	}
	w.eventually("the edited target is mended", healed)
	if got := w.provider.Count(idp.Token); got != 1 {
		t.Errorf("the provider was asked %d times, want 1", got)
	}
}

func TestDeletionRevokesAndRemovesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	target := w.target("alice")
	token := string(target.Data["access_token"])
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	w.gone(conn)
	w.gone(target)
	if w.provider.AccessTokenValid(token) || w.provider.Count(idp.Revocation) != 1 {
		t.Error("the grant is not revoked")
	}
	if len(w.records(conn)) != 0 {
		t.Error("the record is still there")
	}
}

func TestDeletionGoesOnWhenTheProviderDoesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.provider.Fault(idp.Revocation, 1, idp.Status(503, "down"))
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	w.gone(conn)
}

func TestAnOrphanedGrantAndItsSecretStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "deletionPolicy: Orphan")
	if err := env.Client.Delete(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	w.gone(conn)
	if !w.accepted("alice") || w.provider.Count(idp.Revocation) != 0 {
		t.Error("the grant was revoked")
	}
	if owners := w.target("alice").OwnerReferences; len(owners) != 0 {
		t.Errorf("the Secret still has owners, and garbage collection would remove it: %v", owners)
	}
}

func TestADisconnectGivesTheGrantUpAndWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	target := w.target("alice")
	w.annotate(conn, v1alpha1.DisconnectRequestedAnnotation, "now")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	w.gone(target)
	if w.provider.Count(idp.Revocation) != 1 || conn.Status.LastHandledDisconnect != "now" || conn.Status.Account != "" {
		t.Errorf("the status is\n%s", describe(conn))
	}
	if page := w.connect(conn); page.Status != http.StatusOK {
		t.Fatalf("connecting again ends with status %d", page.Status)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestAGrantThatTheProviderEndedAsksForAPersonAndIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.provider.RevokeConsents(w.user.Name)
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "1")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	if meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.AuthorizedCondition) {
		t.Errorf("Ready and Authorized contradict each other\n%s", describe(conn))
	}
	asked := w.provider.Count(idp.Token)
	for i := range 5 {
		w.annotate(conn, "poke", fmt.Sprint(i))
	}
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "2")
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	if got := w.provider.Count(idp.Token); got != asked+1 {
		t.Errorf("the provider was asked %d times, want %d: an ended grant is not tried again", got, asked+1)
	}
}

func TestAChangedEndpointNeverSeesTheOldGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	evil, err := idp.New(idp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(evil.Close)
	conn := w.connected("alice", "")
	w.patch(conn, "{provider: {endpoints: {token: '"+evil.URL(idp.Token)+"', revocation: '"+evil.URL(idp.Revocation)+"'}}}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "1")
	w.annotate(conn, v1alpha1.DisconnectRequestedAnnotation, "1")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if evil.Count(idp.Token)+evil.Count(idp.Revocation) != 0 {
		t.Error("the new address was sent something")
	}
}

func TestMoreScopesAskForAPersonAndFewerDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.patch(conn, "{scopes: [openid, offline_access]}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.patch(conn, "{scopes: [openid, offline_access, profile]}")
	ready := w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonReauthorizationRequired)
	if !strings.Contains(ready.Message, "profile") {
		t.Errorf("the message does not name the scope: %q", ready.Message)
	}
}

func TestTheTargetMovesWithItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	old := w.target("alice")
	w.patch(conn, "{secret: {name: elsewhere}}")
	w.gone(old)
	if !w.accepted("elsewhere") {
		t.Error("the provider's API does not take the token at the new place")
	}
}

func TestAMendedClientSecretIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.apply("robot", "provider: {issuer: ISSUER}\nclient: {id: "+idp.DefaultClient().ID+", secretRef: {name: other}}\ngrant: ClientCredentials")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonClientSecretNotFound)
	w.createSecret("other", map[string]string{"client-secret": "wrong"})
	w.annotate(conn, "poke", "1")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonClientRejected)
	secret := w.target("other")
	secret.Data["client-secret"] = []byte(idp.DefaultClient().Secret + "\n")
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.annotate(conn, "poke", "2")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestASuspendedConnectionIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	conn := w.connected("alice", "")
	w.patch(conn, "{suspend: true}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	w.annotate(conn, v1alpha1.RefreshRequestedAnnotation, "1")
	w.patch(conn, "{suspend: false}")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestAProviderObjectServesItsConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	provider := &v1alpha1.OAuthProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "corp"}}
	provider.Spec.Issuer = v1alpha1.EndpointURL(w.provider.Issuer())
	provider.Spec.Client = &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: "client"}}
	conn := w.apply("alice", "providerRef: {name: corp}\n"+allScopes)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonProviderNotFound)
	if err := env.Client.Create(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonAuthorizationRequired)
	if want := publicURL + "/callback/provider/" + w.namespace + "/corp"; conn.Status.RedirectURI != want {
		t.Errorf("the redirect URI is %s, want %s", conn.Status.RedirectURI, want)
	}
	w.connect(conn)
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestAClusterProviderServesOnlyTheNamespacesItSelects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	name := "corp-" + w.namespace
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: testenv.OperatorNamespace, Name: name},
		StringData: map[string]string{"client-secret": idp.DefaultClient().Secret}}
	provider := &v1alpha1.ClusterOAuthProvider{ObjectMeta: metav1.ObjectMeta{Name: name}}
	provider.Spec.AllowedGrants = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}
	provider.Spec.Issuer = v1alpha1.EndpointURL(w.provider.Issuer())
	provider.Spec.Client = &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: name}}
	for _, obj := range []client.Object{secret, provider} {
		if err := env.Client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	conn := w.apply("robot", "providerRef: {kind: ClusterOAuthProvider, name: "+name+"}\ngrant: ClientCredentials")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotSelected)
	selector := `{"spec":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"` + w.namespace + `"}}}}`
	if err := env.Client.Patch(t.Context(), provider, client.RawPatch("application/merge-patch+json", []byte(selector))); err != nil {
		t.Fatal(err)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.eventually("the provider's status", func() (bool, string) {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(provider), provider); err != nil {
			return false, err.Error()
		}
		return provider.Status.RedirectURI == publicURL+"/callback/cluster/"+name, fmt.Sprint(provider.Status)
	})
}

func TestARefusedRequestIsMadeAgainWhenTheProviderObjectChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rotating)
	provider := &v1alpha1.OAuthProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "corp"}}
	provider.Spec.Issuer = v1alpha1.EndpointURL(w.provider.Issuer())
	provider.Spec.Client = &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: "client"}}
	if err := env.Client.Create(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	w.provider.Fault(idp.Token, 1, idp.OAuthError("invalid_scope", http.StatusBadRequest))
	conn := w.apply("robot", "providerRef: {name: corp}\ngrant: ClientCredentials")
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonRequestRejected)
	patch := []byte(`{"spec":{"tokenParams":{"audience":"corrected"}}}`)
	if err := env.Client.Patch(t.Context(), provider, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
	w.await(conn, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
