// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// federated is a connection of a namespace whose client shows a ServiceAccount's token.
func federated(namespace, audience string) *v1alpha1.OAuthConnection {
	conn := connection(plain())
	conn.Namespace = namespace
	conn.Spec.Client = &v1alpha1.ClientSpec{
		ID: "id", Authentication: v1alpha1.ClientAuthenticationServiceAccountToken,
		ServiceAccountRef: &v1alpha1.ServiceAccountRef{Name: "robot", Audience: audience},
	}
	return conn
}

// claimsOf reads a token without checking it.
func claimsOf(t testing.TB, token oauth.Secret) map[string]any {
	t.Helper()
	parts := strings.Split(token.Reveal(), ".")
	var claims map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		t.Fatal("not a JWT")
	}
	return claims
}

// operating is a resolver that asks a real API server for tokens as the operator.
func operating(t *testing.T, env *testenv.Env) *provider.Resolver {
	t.Helper()
	config, err := env.OperatorConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r := setup(t, nil).Resolver
	r.Tokens = provider.NewServiceAccountTokens(api)
	return r
}

// letOperator does what the message of a refusal says.
func letOperator(t *testing.T, env *testenv.Env, namespace string) {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "oauth-operator-token-robot"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}, ResourceNames: []string{"robot"},
		}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: role.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: testenv.OperatorNamespace, Name: testenv.OperatorServiceAccount}},
	}
	if err := env.Client.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

func TestAServiceAccountsTokenTakesThePlaceOfASecret(t *testing.T) {
	env := apiServer(t)
	namespace := env.Namespace(t)
	r := operating(t, env)
	conn := federated(namespace, "api://AzureADTokenExchange")
	_, err := r.Connection(t.Context(), conn)
	wantError(t, err, v1alpha1.ReasonServiceAccountTokenFailed, "spec.client.serviceAccountRef:",
		"kubectl -n "+namespace+" create role oauth-operator-token-robot --verb=create --resource=serviceaccounts/token --resource-name=robot",
		"kubectl -n "+namespace+" create rolebinding oauth-operator-token-robot --role=oauth-operator-token-robot --serviceaccount=oauth-operator:oauth-operator")

	letOperator(t, env, namespace)
	waitFor(t, func() bool {
		_, err = r.Connection(t.Context(), conn)
		return err != nil && strings.Contains(err.Error(), "not found")
	})
	wantError(t, err, v1alpha1.ReasonServiceAccountTokenFailed, "kubectl -n "+namespace+" create serviceaccount robot")

	if err := env.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "robot"}}); err != nil {
		t.Fatal(err)
	}
	resolved, err := r.Connection(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if resolved.Authentication != oauth.ServiceAccountToken || !resolved.Secret.IsZero() {
		t.Errorf("it authenticates by %s", resolved.Authentication)
	}
	claims := claimsOf(t, asserted(t, &resolved.Client))
	aud, _ := claims["aud"].([]any)
	life := claims["exp"].(float64) - claims["iat"].(float64)
	if len(aud) != 1 || aud[0] != "api://AzureADTokenExchange" || claims["sub"] != "system:serviceaccount:"+namespace+":robot" || life > 660 {
		t.Errorf("the token is for %v, of %v, for %v s", aud, claims["sub"], life)
	}
	if described, err := r.Described(t.Context(), conn); err != nil || described.Assertion != nil {
		t.Errorf("without asking anybody there is a token, or %v", err)
	}
}

func TestATokenThatTheAPIServerTakesIsNeverGivenAway(t *testing.T) {
	env := apiServer(t)
	namespace := env.Namespace(t)
	r := operating(t, env)
	letOperator(t, env, namespace)
	robot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "robot"}}
	if err := env.Client.Create(t.Context(), robot); err != nil {
		t.Fatal(err)
	}
	// Without audiences the API server names its own.
	request := &authenticationv1.TokenRequest{}
	if err := env.Client.SubResource("token").Create(t.Context(), robot, request); err != nil {
		t.Fatal(err)
	}
	own, _ := claimsOf(t, oauth.NewSecret(request.Status.Token))["aud"].([]any)
	if len(own) == 0 {
		t.Fatal("the API server's audience is not known")
	}
	var err error
	for _, audience := range own {
		for range 2 { // the second answer is remembered
			waitFor(t, func() bool {
				_, err = r.Connection(t.Context(), federated(namespace, audience.(string)))
				return err != nil && !strings.Contains(err.Error(), "may not ask")
			})
			wantError(t, err, v1alpha1.ReasonServiceAccountTokenFailed, audience.(string), "the API server's own")
		}
	}
}

// deleting takes the ServiceAccount away before each request to the path.
type deleting struct {
	http.RoundTripper
	path   string
	delete func()
}

func (d deleting) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, d.path) {
		d.delete()
	}
	return d.RoundTripper.RoundTrip(req)
}

// Whoever may delete the ServiceAccount between its token and the review of it must not have the API
// server's own audience remembered as a stranger's, for everybody.
func TestATokenOfADeletedServiceAccountTellsNothingOfItsAudience(t *testing.T) {
	env := apiServer(t)
	namespace := env.Namespace(t)
	config, err := env.OperatorConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	robot := func() *corev1.ServiceAccount {
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "robot"}}
	}
	create := func() {
		if err := env.Client.Create(t.Context(), robot()); err != nil {
			t.Fatal(err)
		}
	}
	attack := true
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return deleting{next, "/tokenreviews", func() {
			if attack {
				_ = env.Client.Delete(t.Context(), robot())
			}
		}}
	})
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	tokens := provider.NewServiceAccountTokens(api)
	letOperator(t, env, namespace)
	create()
	request := &authenticationv1.TokenRequest{}
	if err := env.Client.SubResource("token").Create(t.Context(), robot(), request); err != nil {
		t.Fatal(err)
	}
	own, _ := claimsOf(t, oauth.NewSecret(request.Status.Token))["aud"].([]any)
	audience := own[0].(string)
	waitFor(t, func() bool {
		_, err = tokens.Token(t.Context(), namespace, "robot", audience)
		return !apierrors.IsForbidden(err)
	})
	if err == nil {
		t.Error("a token that nobody could judge was given away")
	}
	attack = false
	create()
	if _, err := tokens.Token(t.Context(), namespace, "robot", audience); !errors.Is(err, provider.ErrOwnAudience) {
		t.Errorf("a token for the API server is given away afterwards: %v", err)
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// minting gives fixed tokens or errors instead of the API server's.
type minting struct {
	token string
	err   error
	asked []string
}

func (m *minting) Token(_ context.Context, namespace, name, audience string) (oauth.Secret, error) {
	m.asked = append(m.asked, namespace+"/"+name+" for "+audience)
	return oauth.NewSecret(m.token), m.err
}

func TestWhereAServiceAccountIs(t *testing.T) {
	client := federated("", "https://idp.example").Spec.Client
	own := &v1alpha1.OAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "corp"},
		Spec:       v1alpha1.OAuthProviderSpec{ProviderSpec: plain(), Client: client},
	}
	shared := &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "corp"},
		Spec:       v1alpha1.ClusterOAuthProviderSpec{OAuthProviderSpec: own.Spec, NamespaceSelector: &metav1.LabelSelector{}},
	}
	for kind, want := range map[string]string{"OAuthProvider": "team-a", "ClusterOAuthProvider": "oauth-operator"} {
		e, tokens := setup(t, nil, own, shared), &minting{token: "t"}
		e.Tokens = tokens
		resolved := e.resolve(t, referring(kind, "corp"))
		if len(tokens.asked) != 1 || tokens.asked[0] != want+"/robot for https://idp.example" || asserted(t, &resolved.Client).Reveal() != "t" {
			t.Errorf("%s: asked %v", kind, tokens.asked)
		}
	}
}

func TestTokensOfServiceAccountsThatFail(t *testing.T) {
	resource := schema.GroupResource{Resource: "serviceaccounts"}
	for name, test := range map[string]struct {
		err    error
		reason string
		word   string
	}{
		"the API server is away": {apierrors.NewServiceUnavailable(hostile), v1alpha1.ReasonProgressing, "tried again"},
		"an odd audience":        {apierrors.NewInvalid(schema.GroupKind{}, hostile, nil), v1alpha1.ReasonServiceAccountTokenFailed, "correct the audience"},
		"forbidden":              {apierrors.NewForbidden(resource, "robot", nil), v1alpha1.ReasonServiceAccountTokenFailed, "create rolebinding"},
		"its own audience":       {provider.ErrOwnAudience, v1alpha1.ReasonServiceAccountTokenFailed, "the API server's own"},
	} {
		t.Run(name, func(t *testing.T) {
			e := setup(t, nil)
			e.Tokens = &minting{err: test.err}
			if e.refused(t, federated("team-a", "x"), test.reason, test.word).Retry == 0 {
				t.Error("it is not looked at again")
			}
		})
	}
	e := setup(t, nil)
	e.refused(t, federated("team-a", "x"), v1alpha1.ReasonServiceAccountTokenFailed, "no way")
	conn := federated("team-a", "x")
	conn.Spec.Client.ServiceAccountRef = nil
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.client.serviceAccountRef")
}
