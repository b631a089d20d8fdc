// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const startTimeout = 2 * time.Minute

func TestWhoMayCreateOAuthAuthorizationsMayConnect(t *testing.T) {
	env, err := testenv.Start(t.Context(), testenv.Options{RBAC: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Stop() })
	config, err := env.OperatorConfig(t.Context())
	r := &Reviewer{Client: testenv.ClientFor(t, config, err)}
	team, other, open := env.Namespace(t), env.Namespace(t), env.Namespace(t)
	if may, err := r.MayConnect(t.Context(), alice, team); may || kindOf(err) != Unavailable {
		t.Errorf("an operator that may not ask: %v, %v", may, err)
	}
	if err := env.Apply(t.Context(), "config/signin"); err != nil {
		t.Fatal(err)
	}
	bind(t, env, team, "oauth-operator-edit", rbacv1.UserKind, "oidc:alice")
	bind(t, env, team, "oauth-operator-edit", rbacv1.GroupKind, "oidc:dev")
	bind(t, env, team, "oauth-operator-view", rbacv1.GroupKind, "oidc:audit")
	bind(t, env, open, "oauth-operator-edit", rbacv1.GroupKind, "system:authenticated")
	// Bindings count in the order in which they were made, a moment later.
	await(t, func(ctx context.Context) (bool, error) {
		may, err := r.MayConnect(ctx, Identity{Username: "anybody"}, open)
		return may && err == nil, nil
	})
	for name, test := range map[string]struct {
		id        Identity
		namespace string
		want      bool
	}{
		"by name":                {Identity{Username: "oidc:alice"}, team, true},
		"by group":               {Identity{Username: "oidc:bob", Groups: []string{"oidc:ops", "oidc:dev"}}, team, true},
		"who is authenticated":   {Identity{Username: "oidc:bob"}, open, true},
		"nobody":                 {Identity{Username: "oidc:bob", Groups: []string{"oidc:ops"}}, team, false},
		"another namespace":      {Identity{Username: "oidc:alice", Groups: []string{"oidc:dev"}}, other, false},
		"a namespace not there":  {Identity{Username: "oidc:alice"}, "nowhere", false},
		"all namespaces":         {Identity{Username: "oidc:alice"}, "", false},
		"who may only look":      {Identity{Username: "oidc:bob", Groups: []string{"oidc:audit"}}, team, false},
		"without the prefix":     {Identity{Username: "alice", Groups: []string{"dev"}}, team, false},
		"no name":                {Identity{}, open, false},
		"Kubernetes' own groups": {Identity{Username: "oidc:bob", Groups: []string{"system:masters"}}, team, false},
		"Kubernetes' own users":  {Identity{Username: "system:apiserver"}, open, false},
	} {
		t.Run(name, func(t *testing.T) {
			if may, err := r.MayConnect(t.Context(), test.id, test.namespace); may != test.want || err != nil {
				t.Errorf("got %v, %v", may, err)
			}
		})
	}
}

func bind(t *testing.T, env *testenv.Env, namespace, role, kind, name string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}},
	}
	if err := env.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, done wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, startTimeout, true, done); err != nil {
		t.Fatal(err)
	}
}

// TestTheAPIServerNamesPeopleAlike gives the same ID tokens to a kube-apiserver with the same
// configuration.
func TestTheAPIServerNamesPeopleAlike(t *testing.T) {
	p, err := idp.New(idp.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for name, c := range map[string]Config{
		"defaults":        {},
		"email":           {UsernameClaim: "email", GroupsClaim: "groups"},
		"no prefix":       {UsernameClaim: "name", UsernamePrefix: "-", GroupsClaim: "groups", GroupsPrefix: "oidc:"},
		"prefixed emails": {UsernameClaim: "email", UsernamePrefix: "oidc:", GroupsClaim: "role", GroupsPrefix: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			c.Issuer, c.ClientID = p.Issuer(), idp.DefaultClient().ID
			server := startAPIServer(t, c, p.CA())
			await(t, func(ctx context.Context) (bool, error) {
				known, err := server.person(ctx, p, map[string]any{"sub": "a", "email": "a@b.c", "name": "a"})
				return known.Username != "", err
			})
			for _, held := range people() {
				theirs, err := server.person(t.Context(), p, held)
				if err != nil {
					t.Fatal(err)
				}
				ours, _ := c.identity(mapped(t, held))
				if diff := cmp.Diff(theirs, ours); diff != "" {
					t.Errorf("%v: %s", held, diff)
				}
			}
		})
	}
}

// people are those of whom the operator thinks no stricter than the API server.
func people() (all []map[string]any) {
	named := []map[string]any{
		{"email": "alice@example.com", "name": "Alice"}, {"email": "alice@example.com", "email_verified": true},
		{"email": "alice@example.com", "email_verified": false}, {"email": "alice@example.com", "email_verified": "true"},
		{"email": "alice@example.com", "email_verified": nil}, {"email": 1, "name": []string{"Alice"}}, {"name": "Alice"},
	}
	grouped := []map[string]any{
		{}, {"groups": []string{"dev", "ops"}}, {"groups": "dev", "role": "admin"}, {"groups": nil}, {"groups": []string{}},
		{"groups": []any{"dev", 1}}, {"groups": 1}, {"groups": map[string]any{"dev": true}, "role": []string{"a", "b"}}, {"role": true},
	}
	for _, name := range named {
		for _, group := range grouped {
			person := map[string]any{"sub": "alice"}
			maps.Copy(person, name)
			maps.Copy(person, group)
			all = append(all, person)
		}
	}
	return all
}

func mapped(t *testing.T, held map[string]any) claims {
	t.Helper()
	text, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

// apiServer is a kube-apiserver that people sign in to with ID tokens.
type apiServer struct{ client.Client }

func startAPIServer(t *testing.T, c Config, ca []byte) apiServer {
	t.Helper()
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	plane := &envtest.Environment{
		Scheme: testenv.Scheme(), BinaryAssetsDirectory: filepath.Join(root, "bin", "k8s"),
		ControlPlaneStartTimeout: startTimeout, ControlPlaneStopTimeout: startTimeout,
	}
	flags := plane.ControlPlane.GetAPIServer().Configure()
	for flag, value := range map[string]string{
		"oidc-issuer-url": c.Issuer, "oidc-client-id": c.ClientID, "oidc-ca-file": caFile, "oidc-signing-algs": "ES256",
		"oidc-username-claim": c.UsernameClaim, "oidc-username-prefix": c.UsernamePrefix,
		"oidc-groups-claim": c.GroupsClaim, "oidc-groups-prefix": c.GroupsPrefix,
	} {
		if value != "" {
			flags.Set(flag, value)
		}
	}
	config, err := plane.Start()
	t.Cleanup(func() { _ = plane.Stop() })
	return apiServer{testenv.ClientFor(t, config, err)}
}

// person is who the API server takes the bearer of an ID token for; nobody where it refuses.
func (s apiServer) person(ctx context.Context, p *idp.Provider, held map[string]any) (Identity, error) {
	held = maps.Clone(held)
	maps.Copy(held, map[string]any{
		"iss": p.Issuer(), "aud": idp.DefaultClient().ID, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
	})
	token, err := p.Sign(held)
	if err != nil {
		return Identity{}, err
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := s.Create(ctx, review); err != nil || !review.Status.Authenticated {
		return Identity{}, err
	}
	groups := slices.DeleteFunc(review.Status.User.Groups, func(group string) bool { return group == authenticated })
	if len(groups) == 0 {
		groups = nil
	}
	return Identity{Username: review.Status.User.Username, Groups: groups}, nil
}
