// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

func TestAPresetIsEnough(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	got := e.resolve(t, connection(v1alpha1.ProviderSpec{Preset: "github"}))
	addresses := got.Endpoints
	if addresses.Authorization != "https://github.com/login/oauth/authorize" || addresses.Token != "https://github.com/login/oauth/access_token" ||
		addresses.UserInfo != "https://api.github.com/user" {
		t.Errorf("got %+v", addresses)
	}
	if got.DisplayName != "GitHub" || got.Authentication != oauth.Post || got.Rotation != oauth.Rotating || !got.PKCE {
		t.Errorf("got %s, %s, %s, PKCE %t", got.DisplayName, got.Authentication, got.Rotation, got.PKCE)
	}
	if got.ID != "id" || got.Secret.Reveal() != "hush" || got.Revision == "" {
		t.Error("the client is not complete")
	}
	if got.CallbackPath != "/callback/ns/team-a/conn" || got.RedirectURI != "https://operator.example/callback/ns/team-a/conn" {
		t.Errorf("redirect URI is %s", got.RedirectURI)
	}
}

func TestWhatIsSetOverridesThePreset(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	conn := connection(v1alpha1.ProviderSpec{
		Preset:               "gitlab",
		Parameters:           map[string]string{"host": "git.example.com:8443"},
		Endpoints:            &v1alpha1.Endpoints{Token: "https://other.example/token"},
		ClientAuthentication: v1alpha1.ClientSecretBasic,
		PKCE:                 "None",
		Scopes:               &v1alpha1.ScopeRules{Separator: ","},
		AuthorizationParams:  v1alpha1.RequestParams{"a": "provider", "b": "provider"},
		TokenParams:          v1alpha1.RequestParams{"c": "token"},
		Refresh:              &v1alpha1.RefreshRules{RetryWindow: &metav1.Duration{Duration: time.Minute}},
	})
	conn.Spec.AuthorizationParams = v1alpha1.RequestParams{"b": "connection"}
	got := e.resolve(t, conn)
	if diff := cmp.Diff(oauth.Endpoints{
		Authorization: "https://git.example.com:8443/oauth/authorize",
		Token:         "https://other.example/token",
		Revocation:    "https://git.example.com:8443/oauth/revoke",
		UserInfo:      "https://git.example.com:8443/api/v4/user",

		DeviceAuthorization: "https://git.example.com:8443/oauth/authorize_device",
	}, got.Endpoints); diff != "" {
		t.Error(diff)
	}
	if got.Authentication != oauth.Basic || got.PKCE || got.ScopeSeparator != "," {
		t.Errorf("got %s, PKCE %t, separator %q", got.Authentication, got.PKCE, got.ScopeSeparator)
	}
	if diff := cmp.Diff(map[string]string{"a": "provider", "b": "connection"}, got.AuthorizationParams); diff != "" {
		t.Error(diff)
	}
	if got.TokenParams["c"] != "token" || got.Rotation != oauth.Rotating || got.RetryWindow != time.Minute {
		t.Errorf("refresh rules: %s %v", got.Rotation, got.RetryWindow)
	}
}

func TestAnIssuerOfItsOwnDropsThePresetsEndpoints(t *testing.T) {
	p := newIDP(t)
	p.document(openID, nil)
	e := setup(t, p, secret("team-a", "s", "hush"))
	for _, preset := range []string{"gitlab", "keycloak"} { // keycloak's parameters are not needed any more
		got := e.resolve(t, connection(v1alpha1.ProviderSpec{Preset: preset, Issuer: v1alpha1.EndpointURL(p.URL)}))
		if got.Endpoints.Token != p.URL+"/token" || got.Issuer != p.URL {
			t.Errorf("%s: tokens are asked of %s", preset, got.Endpoints.Token)
		}
	}
}

func TestProviderObjectsLendTheirClient(t *testing.T) {
	own := &v1alpha1.OAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "corp"},
		Spec:       v1alpha1.OAuthProviderSpec{ProviderSpec: plain(), Client: confidential("theirs")},
	}
	shared := &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "corp"},
		Spec:       v1alpha1.ClusterOAuthProviderSpec{OAuthProviderSpec: own.Spec, NamespaceSelector: &metav1.LabelSelector{}},
	}
	e := setup(t, nil, own, shared, secret("team-a", "s", "of the team"), secret("oauth-operator", "s", "of the platform"))
	tests := []struct {
		kind, secret, path string
		object             client.Object
	}{
		{"OAuthProvider", "of the team", "/callback/provider/team-a/corp", own},
		{"ClusterOAuthProvider", "of the platform", "/callback/cluster/corp", shared},
	}
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			got := e.resolve(t, referring(test.kind, "corp"))
			if got.ID != "theirs" || got.Secret.Reveal() != test.secret || got.CallbackPath != test.path {
				t.Errorf("got client %s and path %s", got.ID, got.CallbackPath)
			}
			alone, err := e.Provider(context.Background(), test.object)
			if err != nil || alone.RedirectURI != got.RedirectURI || alone.Fingerprint != got.Fingerprint {
				t.Errorf("the object by itself gives %v, %v", alone, err)
			}
			conn := referring(test.kind, "corp")
			conn.Spec.Client = confidential("ours")
			if got := e.resolve(t, conn); got.ID != "ours" || got.Secret.Reveal() != "of the team" || got.CallbackPath != "/callback/ns/team-a/conn" {
				t.Errorf("with a client of its own: %s, %s", got.ID, got.CallbackPath)
			}
		})
	}
}

func TestASharedClientDoesOnlyWhatItsOwnerAllows(t *testing.T) {
	for name, test := range map[string]struct {
		grants []v1alpha1.GrantType
		scopes []v1alpha1.Scope
		change func(*v1alpha1.OAuthConnectionSpec)
		words  []string // nil: allowed
	}{
		"a person's consent": {},
		"the client's own rights": {
			change: func(s *v1alpha1.OAuthConnectionSpec) { s.Grant = v1alpha1.GrantClientCredentials },
			words:  []string{"spec.grant", "ClusterOAuthProvider corp", "spec.allowedGrants"},
		},
		"the client's own rights, allowed": {
			grants: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
			change: func(s *v1alpha1.OAuthConnectionSpec) { s.Grant = v1alpha1.GrantClientCredentials },
		},
		"the client's own rights, with a client of its own": {
			change: func(s *v1alpha1.OAuthConnectionSpec) {
				s.Grant, s.Client = v1alpha1.GrantClientCredentials, confidential("ours")
			},
		},
		"a refresh token of somebody's": {
			change: func(s *v1alpha1.OAuthConnectionSpec) { s.Seed = &v1alpha1.SeedSpec{SecretRef: tokenKey("s")} },
			words:  []string{"spec.seed", "ClusterOAuthProvider corp", "spec.client"},
		},
		"a refresh token of somebody's, with a client of its own": {
			change: func(s *v1alpha1.OAuthConnectionSpec) {
				s.Seed, s.Client = &v1alpha1.SeedSpec{SecretRef: tokenKey("s")}, confidential("ours")
			},
		},
		"an allowed scope": {
			scopes: []v1alpha1.Scope{"read"},
			change: func(s *v1alpha1.OAuthConnectionSpec) { s.Scopes = []v1alpha1.Scope{"read"} },
		},
		"another scope": {
			scopes: []v1alpha1.Scope{"read"},
			change: func(s *v1alpha1.OAuthConnectionSpec) { s.Scopes = []v1alpha1.Scope{"read", "admin"} },
			words:  []string{"spec.scopes", "admin", "spec.allowedScopes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := setup(t, nil, secret("oauth-operator", "s", "hush"), secret("team-a", "s", "ours"), &v1alpha1.ClusterOAuthProvider{
				ObjectMeta: metav1.ObjectMeta{Name: "corp"},
				Spec: v1alpha1.ClusterOAuthProviderSpec{
					OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain(), Client: confidential("id")},
					NamespaceSelector: &metav1.LabelSelector{}, AllowedGrants: test.grants, AllowedScopes: test.scopes,
				},
			})
			conn := referring("ClusterOAuthProvider", "corp")
			if test.change != nil {
				test.change(&conn.Spec)
			}
			if test.words == nil {
				e.resolve(t, conn)
				return
			}
			e.refused(t, conn, v1alpha1.ReasonClientInvalid, test.words...)
		})
	}
}

func TestAnAllowedScopeHasNoOtherName(t *testing.T) {
	spec := plain()
	spec.AuthorizationRequest = &v1alpha1.AuthorizationRequestRules{Rename: v1alpha1.ParamNames{"scope": "user_scope", "nonce": ""}}
	spec.TokenRequest = &v1alpha1.TokenRequestRules{Rename: v1alpha1.ParamNames{"scope": "rights", "audience": "aud"}}
	spec.RevocationRequest = &v1alpha1.RevocationRequestRules{Rename: v1alpha1.ParamNames{"token": "ended"}}
	e := setup(t, nil, secret("oauth-operator", "s", "hush"), &v1alpha1.ClusterOAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "corp"},
		Spec: v1alpha1.ClusterOAuthProviderSpec{
			OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: spec, Client: confidential("id")},
			NamespaceSelector: &metav1.LabelSelector{}, AllowedScopes: []v1alpha1.Scope{"read"},
		},
	})
	conn := referring("ClusterOAuthProvider", "corp")
	conn.Spec.AuthorizationParams = v1alpha1.RequestParams{"user_scope": "admin"}
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.authorizationParams", "user_scope", "scope")
	conn.Spec.AuthorizationParams, conn.Spec.TokenParams = nil, v1alpha1.RequestParams{"rights": "admin"}
	e.refused(t, conn, v1alpha1.ReasonClientInvalid, "spec.tokenParams", "rights", "scope")
	conn.Spec.TokenParams = v1alpha1.RequestParams{"aud": "x", "user_scope": "not one here"}
	conn.Spec.AuthorizationParams = v1alpha1.RequestParams{"ended": "not one here"}
	e.resolve(t, conn)
}

func TestAProviderObjectsParametersStand(t *testing.T) {
	spec := plain()
	spec.AuthorizationParams = map[string]string{"hd": "corp.example"}
	spec.TokenParams = map[string]string{"audience": "https://corp.example"}
	e := setup(t, nil, secret("team-a", "s", "hush"), &v1alpha1.OAuthProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "corp"},
		Spec:       v1alpha1.OAuthProviderSpec{ProviderSpec: spec, Client: confidential("id")},
	})
	conn := referring("OAuthProvider", "corp")
	conn.Spec.AuthorizationParams = map[string]string{"hd": "evil.example", "login_hint": "me"}
	conn.Spec.TokenParams = map[string]string{"audience": "https://evil.example", "resource": "https://api.example"}
	resolved := e.resolve(t, conn)
	if got := resolved.AuthorizationParams; got["hd"] != "corp.example" || got["login_hint"] != "me" {
		t.Errorf("got %v", got)
	}
	if got := resolved.TokenParams; got["audience"] != "https://corp.example" || got["resource"] != "https://api.example" {
		t.Errorf("got %v", got)
	}
}

func TestAProviderWithoutAClientResolvesToo(t *testing.T) {
	p := &v1alpha1.OAuthProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "p"}, Spec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain()}}
	got, err := setup(t, nil).Provider(context.Background(), p)
	if err != nil || got.RedirectURI != "" || got.DisplayName != "p" {
		t.Errorf("got %+v, %v", got, err)
	}
	e := setup(t, nil, p)
	e.refused(t, referring("OAuthProvider", "p"), v1alpha1.ReasonClientInvalid, "spec.client", "spec.client.id")
}

func TestClusterProvidersServeSelectedNamespacesOnly(t *testing.T) {
	tests := map[string]struct {
		selector *metav1.LabelSelector
		words    []string // nil: served
	}{
		"none":    {nil, []string{"no namespaceSelector"}},
		"all":     {&metav1.LabelSelector{}, nil},
		"matched": {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "one"}}, nil},
		"other": {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "two"}},
			[]string{"spec.providerRef", "ClusterOAuthProvider corp", "namespace team-a", "tier=two", "kubectl label namespace team-a tier=two"}},
		"expression": {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Exists"}}}, []string{"is x;"}},
		"broken":     {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: hostile}}}, []string{"not valid"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := setup(t, nil, namespace("team-a", map[string]string{"tier": "one"}), secret("oauth-operator", "s", "hush"),
				&v1alpha1.ClusterOAuthProvider{
					ObjectMeta: metav1.ObjectMeta{Name: "corp"},
					Spec: v1alpha1.ClusterOAuthProviderSpec{
						OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain(), Client: confidential("id")},
						NamespaceSelector: test.selector,
					},
				})
			if test.words == nil {
				e.resolve(t, referring("ClusterOAuthProvider", "corp"))
				return
			}
			refusal := e.refused(t, referring("ClusterOAuthProvider", "corp"), v1alpha1.ReasonNamespaceNotSelected, test.words...)
			if refusal.Retry == 0 {
				t.Error("it is not looked at again: no event tells of a namespace's labels")
			}
		})
	}
}

func TestWhatIsMissingIsNamedWithTheNextCommand(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"), secret("team-a", "empty", "\n"),
		&v1alpha1.OAuthProvider{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "odd"},
			Spec:       v1alpha1.OAuthProviderSpec{ProviderSpec: v1alpha1.ProviderSpec{Preset: "gitlap"}, Client: confidential("id")},
		})
	spec := func(preset string, parameters map[string]string) *v1alpha1.OAuthConnection {
		return connection(v1alpha1.ProviderSpec{Preset: preset, Parameters: parameters})
	}
	withSecret := func(name, key string) *v1alpha1.OAuthConnection {
		c := connection(plain())
		c.Spec.Client.SecretRef = &v1alpha1.SecretKeyRef{Name: name, Key: key}
		return c
	}
	onlyToken := plain()
	onlyToken.Endpoints.Authorization = ""
	noToken := plain()
	noToken.Endpoints.Token = ""
	tests := map[string]struct {
		conn   *v1alpha1.OAuthConnection
		reason string
		words  []string
	}{
		"provider object":         {referring("OAuthProvider", "corp"), v1alpha1.ReasonProviderNotFound, []string{"spec.providerRef", `OAuthProvider "corp" not found in namespace team-a`, "kubectl -n team-a get oauthproviders"}},
		"cluster provider object": {referring("ClusterOAuthProvider", "corp"), v1alpha1.ReasonProviderNotFound, []string{`ClusterOAuthProvider "corp" not found`, "kubectl get clusteroauthproviders"}},
		"preset":                  {spec("gitlap", nil), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.preset", `"gitlap"`, "gitlab", "kubectl oauth providers"}},
		"preset of an object":     {referring("OAuthProvider", "odd"), v1alpha1.ReasonProviderInvalid, []string{"OAuthProvider odd: spec.preset"}},
		"parameter":               {spec("keycloak", map[string]string{"host": "id.example"}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.parameters.realm", "the name of the realm"}},
		"unknown parameter":       {spec("keycloak", map[string]string{"reallm": "x"}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.parameters", `"reallm"`, "host, realm"}},
		"parameter of none":       {spec("github", map[string]string{"host": "x"}), v1alpha1.ReasonProviderInvalid, []string{"it has none"}},
		"smuggling parameter":     {spec("okta", map[string]string{"host": "evil.example/"}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.parameters.host", `"evil.example/"`}},
		"parameter, no preset":    {connection(v1alpha1.ProviderSpec{Endpoints: plain().Endpoints, Parameters: map[string]string{"a": "b"}}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.parameters"}},
		"authorization endpoint":  {connection(onlyToken), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.endpoints.authorization"}},
		"token endpoint":          {connection(noToken), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.endpoints.token"}},
		"secret":                  {withSecret("github-client", ""), v1alpha1.ReasonClientSecretNotFound, []string{"spec.client.secretRef", `Secret "github-client" not found in namespace team-a`, "kubectl -n team-a create secret generic github-client --from-literal=client-secret=…"}},
		"key":                     {withSecret("s", "other"), v1alpha1.ReasonClientSecretNotFound, []string{`has no key "other"`, "kubectl -n team-a patch secret s"}},
		"value":                   {withSecret("empty", ""), v1alpha1.ReasonClientSecretNotFound, []string{`has nothing under key "client-secret"`}},
		"account expression":      {connection(v1alpha1.ProviderSpec{Endpoints: plain().Endpoints, Account: "idToken.email +"}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.account", "CEL"}},
		"account of another type": {connection(v1alpha1.ProviderSpec{Endpoints: plain().Endpoints, Account: "1 + 1"}), v1alpha1.ReasonProviderInvalid, []string{"spec.provider.account", "int"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			refusal := e.refused(t, test.conn, test.reason, test.words...)
			unwatched := test.reason == v1alpha1.ReasonClientSecretNotFound
			if looksAgain := refusal.Retry != 0; looksAgain != unwatched {
				t.Errorf("it is looked at again after %v: no event tells of Secrets, one does of all else", refusal.Retry)
			}
		})
	}
}

func TestOneNewlineAtTheEndOfTheSecretIsDropped(t *testing.T) {
	for value, want := range map[string]string{"hush\n": "hush", "hush\r\n": "hush", "hush": "hush", "hush\n\n": "hush\n", "a b": "a b"} {
		e := setup(t, nil, secret("team-a", "s", value))
		if got := e.resolve(t, connection(plain())).Secret.Reveal(); got != want {
			t.Errorf("%q gives %q", value, got)
		}
	}
}

func TestTheSecretIsReadLive(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "old"))
	conn := connection(plain())
	before := e.resolve(t, conn)
	live := &corev1.Secret{}
	if err := e.kube.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: "s"}, live); err != nil {
		t.Fatal(err)
	}
	live.Data["client-secret"] = []byte("new")
	if err := e.kube.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	after := e.resolve(t, conn)
	if after.Secret.Reveal() != "new" || after.Revision == before.Revision || after.Fingerprint != before.Fingerprint {
		t.Error("the new secret is not used, or asks for a new consent")
	}
}

type failing struct{ err error }

func (f failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return f.err
}
func (f failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return f.err }

func TestAnAPIServerThatFailsIsAskedAgain(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", nil)
	for reason, cause := range map[string]error{
		v1alpha1.ReasonClientSecretNotFound: forbidden,
		v1alpha1.ReasonProgressing:          apierrors.NewServiceUnavailable(hostile),
	} {
		e := setup(t, nil)
		e.Secrets = failing{cause}
		refusal := e.refused(t, connection(plain()), reason, "team-a")
		if refusal.Retry == 0 || !errors.Is(refusal, cause) {
			t.Errorf("%s: retry %v, cause %v", reason, refusal.Retry, refusal.Unwrap())
		}
		e.Reader = failing{cause}
		e.refused(t, referring("OAuthProvider", "corp"), v1alpha1.ReasonProgressing, "corp")
	}
}

func TestAddressesTheOperatorMayNotConnectToAreRefusedAtOnce(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for _, address := range []string{
		"http://idp.example", "https://127.0.0.1", "https://10.0.0.1", "https://169.254.169.254/latest", "https://[::1]", "https://user@idp.example",
	} {
		for field, spec := range map[string]v1alpha1.ProviderSpec{
			"issuer":               {Issuer: v1alpha1.EndpointURL(address)},
			"endpoints.token":      {Endpoints: &v1alpha1.Endpoints{Authorization: "https://idp.example", Token: v1alpha1.EndpointURL(address)}},
			"endpoints.userInfo":   {Endpoints: &v1alpha1.Endpoints{Authorization: "https://idp.example", Token: "https://idp.example", UserInfo: v1alpha1.EndpointURL(address)}},
			"endpoints.revocation": {Endpoints: &v1alpha1.Endpoints{Authorization: "https://idp.example", Token: "https://idp.example", Revocation: v1alpha1.EndpointURL(address)}},
		} {
			e.refused(t, connection(spec), v1alpha1.ReasonEndpointNotAllowed, "spec.provider."+field+":", "platform team")
		}
	}
	spec := plain()
	spec.Endpoints.Authorization = "http://idp.example/authorize"
	e.refused(t, connection(spec), v1alpha1.ReasonEndpointNotAllowed, "spec.provider.endpoints.authorization:", "https")
	spec.Endpoints.Authorization = "https://10.0.0.1/authorize" // only browsers go there
	e.resolve(t, connection(spec))
	for _, broken := range []string{"https://", "nonsense", "https://idp.example/#fragment", "https://idp.example/{tenant}", "https://idp.example/%zz", "https://" + strings.Repeat("a", 3000)} {
		spec.Endpoints.Token = v1alpha1.EndpointURL(broken)
		e.refused(t, connection(spec), v1alpha1.ReasonProviderInvalid, "spec.provider.endpoints.token:")
	}
	e.refused(t, connection(v1alpha1.ProviderSpec{Issuer: "https://idp.example/?a=b"}), v1alpha1.ReasonProviderInvalid, "spec.provider.issuer:")
}

func TestResolvingNeverChangesWhatWasWritten(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	conn := connection(v1alpha1.ProviderSpec{Preset: "gitlab", Endpoints: &v1alpha1.Endpoints{UserInfo: "https://{host}/me"}, AuthorizationParams: v1alpha1.RequestParams{"a": "b"}})
	conn.Spec.AuthorizationParams = v1alpha1.RequestParams{"c": "d"}
	before := conn.DeepCopy()
	first, second := e.resolve(t, conn), e.resolve(t, conn)
	if diff := cmp.Diff(before, conn); diff != "" {
		t.Error(diff)
	}
	if first.Endpoints != second.Endpoints || first.Endpoints.UserInfo != "https://gitlab.com/me" {
		t.Errorf("got %+v, then %+v", first.Endpoints, second.Endpoints)
	}
}

func TestAClientBelongsToWhoBringsIt(t *testing.T) {
	shared := func(name string, c *v1alpha1.ClientSpec) *v1alpha1.ClusterOAuthProvider {
		return &v1alpha1.ClusterOAuthProvider{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ClusterOAuthProviderSpec{
			OAuthProviderSpec: v1alpha1.OAuthProviderSpec{ProviderSpec: plain(), Client: c}, NamespaceSelector: &metav1.LabelSelector{},
		}}
	}
	e := setup(t, nil, secret("team-a", "s", "hush"), secret("oauth-operator", "s", "hush"), shared("corp", confidential("id")), shared("open", nil))
	own := referring("ClusterOAuthProvider", "corp")
	own.Spec.Client = confidential("id")
	ref := tokenKey("s")
	none := referring("ClusterOAuthProvider", "open")
	none.Spec.Grant, none.Spec.Subject = v1alpha1.GrantTokenExchange, &v1alpha1.SubjectSpec{SecretRef: &ref}
	for name, c := range map[string]struct {
		conn *v1alpha1.OAuthConnection
		want string
	}{
		"the connection's own":                                {connection(plain()), "team-a"},
		"its own, at a provider that shares one of that name": {own, "team-a"},
		"the shared one":                                      {referring("ClusterOAuthProvider", "corp"), "oauth-operator"},
		"none":                                                {none, "team-a"},
	} {
		if got := e.resolve(t, c.conn).Owner; got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
