// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

const referencesPolicy = "oauth-operator-references"

// clientWith is a client with a Secret, or a public one where the Secret has no name.
func clientWith(secret string) *v1alpha1.ClientSpec {
	if secret == "" {
		return &v1alpha1.ClientSpec{ID: "abc"}
	}
	return &v1alpha1.ClientSpec{ID: "abc", SecretRef: &v1alpha1.SecretKeyRef{Name: secret}}
}

func described(secret string) v1alpha1.OAuthProviderSpec {
	return v1alpha1.OAuthProviderSpec{
		ProviderSpec: v1alpha1.ProviderSpec{Preset: "github"}, Client: clientWith(secret),
	}
}

func connection(namespace, name, secret string) *v1alpha1.OAuthConnection {
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.OAuthConnectionSpec{
			Provider: &v1alpha1.ProviderSpec{Preset: "github"}, Client: clientWith(secret),
		},
	}
}

// leavesMetadataAlone checks what has to pass whatever the author may get.
func leavesMetadataAlone(t *testing.T, author client.Client, obj client.Object) {
	t.Helper()
	taken(t, "an annotation", change(t, author, obj, `{"metadata":{"annotations":{"oauth-operator.dev/refresh-requested-at":"now"}}}`))
	taken(t, "a finalizer", change(t, author, obj, `{"metadata":{"finalizers":["example.com/test"]}}`))
	taken(t, "deletion", author.Delete(t.Context(), obj))
	taken(t, "no finalizer", change(t, author, obj, `{"metadata":{"finalizers":null}}`))
}

func TestAConnectionNamesASecretThatItsAuthorMayGet(t *testing.T) {
	namespace := env.Namespace(t)
	alice := person(t, namespace, "alice", editRole, ownersRole)
	carol := person(t, namespace, "carol", ownersRole)
	taken(t, "with edit", alice.Create(t.Context(), connection(namespace, "edit", "client")))
	refused(t, "without get secrets", carol.Create(t.Context(), connection(namespace, "carols", "client")),
		referencesPolicy, `"carol" may not get Secret "client" in namespace "`+namespace+`"`, "ask", "verb get")
	letRead(t, namespace, "carol", "client")
	taken(t, "with the right on this Secret", carol.Create(t.Context(), connection(namespace, "carols", "client")))
	refused(t, "another Secret", carol.Create(t.Context(), connection(namespace, "other", "database")),
		referencesPolicy, `Secret "database"`)
	refused(t, "another Secret later", change(t, carol, connection(namespace, "carols", ""),
		`{"spec":{"client":{"secretRef":{"name":"database"}}}}`), referencesPolicy, `Secret "database"`)
}

func TestEverySecretThatAConnectionNamesIsAskedAbout(t *testing.T) {
	namespace := env.Namespace(t)
	carol := person(t, namespace, "carol", ownersRole)
	key := func(name string) v1alpha1.TokenKeyRef { return v1alpha1.TokenKeyRef{Name: name, Key: "token"} }
	for field, name := range map[string]func(*v1alpha1.OAuthConnectionSpec){
		"subject.secretRef": func(s *v1alpha1.OAuthConnectionSpec) {
			ref := key("database")
			s.Grant, s.Subject = v1alpha1.GrantTokenExchange, &v1alpha1.SubjectSpec{SecretRef: &ref}
		},
		"subject.signedJWT.keyRef": func(s *v1alpha1.OAuthConnectionSpec) {
			s.Grant, s.Subject = v1alpha1.GrantJWTBearer, &v1alpha1.SubjectSpec{SignedJWT: &v1alpha1.SignedJWT{KeyRef: key("database")}}
		},
		"seed.secretRef": func(s *v1alpha1.OAuthConnectionSpec) {
			s.Seed = &v1alpha1.SeedSpec{SecretRef: key("database")}
		},
	} {
		conn := connection(namespace, "naming", "")
		name(&conn.Spec)
		refused(t, field, carol.Create(t.Context(), conn), referencesPolicy, `"carol" may not get Secret "database" in namespace "`+namespace+`"`)
	}
	letRead(t, namespace, "carol", "database")
	conn := connection(namespace, "allowed", "client")
	conn.Spec.Seed = &v1alpha1.SeedSpec{SecretRef: key("database")}
	refused(t, "one of two", carol.Create(t.Context(), conn), referencesPolicy, `Secret "client" or "database"`)
	letRead(t, namespace, "carol", "client")
	taken(t, "both", carol.Create(t.Context(), conn))
}

func TestServiceAccountsAreUsedByWhoMayCreateTheirTokens(t *testing.T) {
	namespace := env.Namespace(t)
	carol := person(t, namespace, "carol", ownersRole)
	ref := &v1alpha1.ServiceAccountRef{Name: "robot", Audience: "https://idp.example.com"}
	asClient := connection(namespace, "client", "")
	asClient.Spec.Client.Authentication, asClient.Spec.Client.ServiceAccountRef = v1alpha1.ClientAuthenticationServiceAccountToken, ref
	asSubject := connection(namespace, "subject", "")
	asSubject.Spec.Grant, asSubject.Spec.Subject = v1alpha1.GrantTokenExchange, &v1alpha1.SubjectSpec{ServiceAccountRef: ref}
	for field, conn := range map[string]*v1alpha1.OAuthConnection{"client": asClient, "subject": asSubject} {
		refused(t, field, carol.Create(t.Context(), conn.DeepCopy()), referencesPolicy,
			`"carol" may not create tokens of ServiceAccount "robot" in namespace "`+namespace+`"`, "serviceaccounts/token")
	}
	letAskFor(t, namespace, "carol", "robot")
	for field, conn := range map[string]*v1alpha1.OAuthConnection{"client": asClient, "subject": asSubject} {
		taken(t, field, carol.Create(t.Context(), conn))
	}
	refused(t, "another later", change(t, carol, asClient, `{"spec":{"client":{"serviceAccountRef":{"name":"other"}}}}`),
		referencesPolicy, `ServiceAccount "other"`)
	leavesMetadataAlone(t, carol, asClient)
}

// letAskFor grants the right to tokens of one ServiceAccount, or of all where it has no name.
func letAskFor(t *testing.T, namespace, name, serviceAccount string) {
	t.Helper()
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}}
	if serviceAccount != "" {
		rule.ResourceNames = []string{serviceAccount}
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace}, Rules: []rbacv1.PolicyRule{rule}}
	store(t, role)
	grant(t, namespace, name, rbacv1.RoleRef{Kind: "Role", Name: role.Name})
	awaitRight(t, name, authorizationv1.ResourceAttributes{
		Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: namespace, Name: serviceAccount,
	})
}

func TestAConnectionsTargetIsNotAskedAbout(t *testing.T) {
	namespace := env.Namespace(t)
	carol := person(t, namespace, "carol", ownersRole)
	c := connection(namespace, "public", "")
	c.Spec.Secret.Name = "target"
	taken(t, "a public client", carol.Create(t.Context(), c))
	referring := connection(namespace, "referring", "")
	referring.Spec.Provider, referring.Spec.Client = nil, nil
	referring.Spec.ProviderRef = &v1alpha1.ProviderRef{Kind: "ClusterOAuthProvider", Name: "shared"}
	taken(t, "a provider's client", carol.Create(t.Context(), referring))
}

func TestAConnectionIsNotSentElsewhereByWhoMayNotGetItsSecret(t *testing.T) {
	namespace := env.Namespace(t)
	carol := person(t, namespace, "carol", ownersRole)
	alices := connection(namespace, "alices", "client")
	store(t, alices)
	refused(t, "another token endpoint", change(t, carol, alices,
		`{"spec":{"provider":{"endpoints":{"token":"https://evil.example.com/token"}}}}`), referencesPolicy, `Secret "client"`)
	taken(t, "the same once more", change(t, carol, alices, `{"spec":{"client":{"id":"abc"}}}`))
	leavesMetadataAlone(t, carol, alices)
}

func TestAnOAuthProviderStandsForEverySecretOfItsNamespace(t *testing.T) {
	namespace := env.Namespace(t)
	alice := person(t, namespace, "alice", editRole, ownersRole)
	carol := person(t, namespace, "carol", ownersRole)
	provider := func(name, secret string) *v1alpha1.OAuthProvider {
		return &v1alpha1.OAuthProvider{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: described(secret),
		}
	}
	alices := provider("alices", "client")
	taken(t, "with edit", alice.Create(t.Context(), alices))
	refused(t, "without get secrets", carol.Create(t.Context(), provider("carols", "client")),
		referencesPolicy, `"carol" may not get Secret "client" in namespace "`+namespace+`"`)
	letRead(t, namespace, "carol", "client")
	for what, secret := range map[string]string{"one Secret alone": "client", "no Secret": ""} {
		refused(t, what, carol.Create(t.Context(), provider("carols", secret)),
			referencesPolicy, `"carol" may not get the Secrets of namespace "`+namespace+`"`, "ask")
	}
	refused(t, "another token endpoint", change(t, carol, alices,
		`{"spec":{"endpoints":{"token":"https://evil.example.com/token"}}}`), referencesPolicy, "may not get the Secrets")
	leavesMetadataAlone(t, carol, alices)
}

func TestAnOAuthProviderStandsForEveryServiceAccountOfItsNamespace(t *testing.T) {
	namespace := env.Namespace(t)
	dora := person(t, namespace, "dora", ownersRole)
	letRead(t, namespace, "dora", "")
	provider := &v1alpha1.OAuthProvider{ObjectMeta: metav1.ObjectMeta{Name: "doras", Namespace: namespace}, Spec: described("")}
	refused(t, "with the Secrets alone", dora.Create(t.Context(), provider), referencesPolicy,
		`"dora" may not create tokens of the ServiceAccounts of namespace "`+namespace+`"`)
	letAskFor(t, namespace, "dora", "")
	taken(t, "with both", dora.Create(t.Context(), provider))
}

func TestAClusterOAuthProvidersSecretIsInTheOperatorsNamespace(t *testing.T) {
	namespace := env.Namespace(t)
	paula := person(t, namespace, "paula", editRole, ownersRole)
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"clusteroauthproviders"}, Verbs: []string{"*"},
		}},
	}
	store(t, role)
	store(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "paula"}},
	})
	letRead(t, namespace, "paula", "shared-client")
	shared := func(name, secret string) *v1alpha1.ClusterOAuthProvider {
		return &v1alpha1.ClusterOAuthProvider{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha1.ClusterOAuthProviderSpec{OAuthProviderSpec: described(secret)},
		}
	}
	public := shared("public", "")
	taken(t, "without a Secret", paula.Create(t.Context(), public))
	refused(t, "the right in her own namespace", paula.Create(t.Context(), shared("shared", "shared-client")),
		referencesPolicy, `Secret "shared-client" in namespace "`+testenv.OperatorNamespace+`"`)
	refused(t, "the operator's keyset", change(t, paula, public,
		`{"spec":{"client":{"secretRef":{"name":"oauth-operator-keyset"}}}}`), referencesPolicy, `"oauth-operator-keyset"`)
	letRead(t, testenv.OperatorNamespace, "paula", "shared-client")
	taken(t, "the right in the operator's", paula.Create(t.Context(), shared("shared", "shared-client")))
	leavesMetadataAlone(t, paula, public)
}
