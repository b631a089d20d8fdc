// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// patientOf is a connection that is judged without an API server.
func patientOf(conn *v1alpha1.OAuthConnection) *patient {
	a := newApp("kubectl-oauth", genericiooptions.NewTestIOStreamsDiscard(), clocktesting.NewFakeClock(noon()))
	return &patient{doctor: &doctor{app: a}, conn: conn}
}

func expectFinding(t *testing.T, f finding, want level, words string) {
	t.Helper()
	if f.Level != want || !strings.Contains(f.Found, words) {
		t.Errorf("got %s: %s; want %s: %s", f.Level, f.Found, want, words)
	}
	if bad := f.Level == levelFault || f.Level == levelWarning; bad && f.Mend == "" {
		t.Errorf("%q has no mend", f.Found)
	}
}

func TestKubernetesHasToKnowAdmissionPolicies(t *testing.T) {
	for version, want := range map[string]level{
		"v1.30.0": levelOK, "v1.34.1-gke.12": levelOK, "v1.29.9": levelFault, "v1.30.0-rc.1+k3s1": levelOK, "": levelNote, "?": levelNote,
	} {
		expectFinding(t, judgeKubernetes(version), want, "")
	}
}

func TestClocksMayBeHalfAMinuteApart(t *testing.T) {
	for ahead, want := range map[time.Duration]level{
		0: levelOK, 30 * time.Second: levelOK, -30 * time.Second: levelOK, 31 * time.Second: levelWarning,
		-299 * time.Second: levelWarning, 5 * time.Minute: levelFault, -time.Hour: levelFault,
	} {
		expectFinding(t, judgeClock(ahead), want, "")
	}
	expectFinding(t, judgeClock(time.Minute), levelWarning, "is about 1m0s behind the API server's")
	expectFinding(t, judgeClock(-61*time.Second), levelWarning, "is about 1m0s ahead of the API server's")
}

func TestVersionsOfPluginAndOperatorAreCompared(t *testing.T) {
	for _, test := range []struct{ operator, plugin, want string }{
		{"v0.2.1", "v0.2.7", ""},
		{"v0.3.0", "v0.2.7", "this plugin of the older v0.2.7"},
		{"0.2.0", "v0.10.0", "this plugin of the newer v0.10.0"},
		{"v1.0.0", "v0.10.0", "the older"},
		{"latest", "v0.2.0", ""},
		{"", "v0.2.0", ""},
		{"v0.2.0", "(devel)", ""},
		{"v0.2.0", "v0.0.0-20260101000000-abcdef123456", ""},
	} {
		found := judgeVersions(test.operator, test.plugin)
		if (test.want == "") != (found == nil) {
			t.Errorf("%s and %s: %v", test.operator, test.plugin, found)
		}
		for _, f := range found {
			expectFinding(t, f, levelWarning, test.want)
		}
	}
	for image, want := range map[string]string{
		"ghcr.io/oauth-operator/oauth-operator:v0.1.0": "v0.1.0", "localhost:5000/oauth-operator": "", "a:v1@sha256:00": "v1", "a@sha256:00": "",
	} {
		d := deployment(metav1.ObjectMeta{}, corev1.PodSpec{Containers: []corev1.Container{{Image: image}}})
		if got := operatorVersion(d); got != want {
			t.Errorf("%s: %q", image, got)
		}
	}
}

func TestTheOperatorIsJudgedByWhatCanBeSeen(t *testing.T) {
	running := func(replicas, ready int32) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas}, Status: appsv1.DeploymentStatus{ReadyReplicas: ready}}
	}
	expectFinding(t, judgeDeployment(running(2, 1)), levelOK, "1 replica ready")
	expectFinding(t, judgeDeployment(running(2, 0)), levelFault, "no replica that is ready")
	expectFinding(t, judgeDeployment(running(0, 0)), levelFault, "scaled to 0")

	lease := &coordinationv1.Lease{}
	expectFinding(t, judgeLease(lease, noon()), levelFault, "was renewed never")
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = ptr.To("pod-1"), &metav1.MicroTime{Time: noon().Add(-20 * time.Second)}
	expectFinding(t, judgeLease(lease, noon()), levelOK, "pod-1 holds Lease")
	lease.Spec.RenewTime = &metav1.MicroTime{Time: noon().Add(-40 * time.Second)}
	expectFinding(t, judgeLease(lease, noon()), levelWarning, "has renewed it 40s ago")
	lease.Spec.HolderIdentity = ptr.To("")
	expectFinding(t, judgeLease(lease, noon()), levelFault, "no replica leads")

	seen, changed, late := *held(-1, 1), *held(-1, 1), *held(-2, 1)
	changed.Generation = 2
	late.Status.RefreshAt = at(-0.5)
	expectFinding(t, judgeTraces(nil, noon()), levelNote, "no connection here tells")
	expectFinding(t, judgeTraces([]v1alpha1.OAuthConnection{changed}, noon()), levelNote, "no connection here tells")
	expectFinding(t, judgeTraces([]v1alpha1.OAuthConnection{changed, seen}, noon()), levelOK, "1 connection")
	expectFinding(t, judgeTraces([]v1alpha1.OAuthConnection{seen, late}, noon()), levelWarning, "was to be refreshed 30m ago")
	late.Status.RefreshAt, late.Status.ExpiresAt = &metav1.Time{Time: noon().Add(-2 * time.Minute)}, &metav1.Time{Time: noon().Add(-time.Minute)}
	expectFinding(t, judgeTraces([]v1alpha1.OAuthConnection{seen, late}, noon()), levelWarning, "was to be refreshed 2m ago")
	late.Spec.Suspend = true
	expectFinding(t, judgeTraces([]v1alpha1.OAuthConnection{late}, noon()), levelOK, "1 connection")
}

func TestConditionsAreFaultsUnlessWorkloadsCanGoOn(t *testing.T) {
	condition := func(name string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: name, Status: status, Reason: reason, Message: "words"}
	}
	for _, test := range []struct {
		name       string
		conditions []metav1.Condition
		want       level
		words      string
	}{
		{"none", nil, levelFault, "has not looked at it yet"},
		{"ready", []metav1.Condition{condition("Ready", "True", "Ready")}, levelOK, "every step is done"},
		{"a step is not done", []metav1.Condition{condition("TokenFresh", "False", "RefreshFailed"), condition("Ready", "False", "RefreshFailed")}, levelFault, "TokenFresh is False (RefreshFailed): words"},
		{"but the token is good", []metav1.Condition{condition("TokenFresh", "False", "RefreshFailed"), condition("Ready", "True", "Ready")}, levelWarning, "TokenFresh is False"},
		{"unknown", []metav1.Condition{condition("ClientResolved", "Unknown", "Progressing"), condition("Ready", "Unknown", "Progressing")}, levelWarning, "ClientResolved is Unknown"},
		{"under way", []metav1.Condition{condition("ClientResolved", "False", "Progressing"), condition("Ready", "False", "Progressing")}, levelWarning, "ClientResolved is False"},
		{"fewer scopes", []metav1.Condition{condition("Authorized", "True", "ScopesReduced"), condition("Ready", "True", "Ready")}, levelWarning, "ScopesReduced"},
		{"nonsense in an answer", []metav1.Condition{condition("TokenFresh", "True", "ResponseInvalid"), condition("Ready", "True", "Ready")}, levelWarning, "ResponseInvalid"},
		{"a grant that ends soon", []metav1.Condition{condition("GrantExpiring", "True", "GrantEnds"), condition("Ready", "True", "Ready")}, levelWarning, "GrantExpiring is True"},
		{"expired", []metav1.Condition{condition("Ready", "False", "TokenExpired")}, levelFault, "Ready is False (TokenExpired)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := held(-1, 1)
			conn.Status.Conditions = test.conditions
			found := patientOf(conn).lookAtConditions(t.Context())
			if len(found) != 1 {
				t.Fatalf("found %v", found)
			}
			expectFinding(t, found[0], test.want, test.words)
		})
	}
}

func TestEveryReasonHasItsMend(t *testing.T) {
	p := patientOf(held(-1, 1))
	unknown := p.mendFor("AnyOther")
	for _, reason := range []string{
		v1alpha1.ReasonProviderNotFound, v1alpha1.ReasonProviderInvalid, v1alpha1.ReasonNamespaceNotSelected, v1alpha1.ReasonDiscoveryFailed,
		v1alpha1.ReasonIssuerMismatch, v1alpha1.ReasonClientInvalid, v1alpha1.ReasonClientSecretNotFound, v1alpha1.ReasonEndpointNotAllowed,
		v1alpha1.ReasonScopesReduced, v1alpha1.ReasonAuthorizationRequired, v1alpha1.ReasonReauthorizationRequired, v1alpha1.ReasonRecordUnreadable,
		v1alpha1.ReasonRefreshFailed, v1alpha1.ReasonThrottled, v1alpha1.ReasonClientRejected, v1alpha1.ReasonRequestRejected, v1alpha1.ReasonAtRisk,
		v1alpha1.ReasonTokenUnsaved, v1alpha1.ReasonTokenExpired, v1alpha1.ReasonSecretConflict, v1alpha1.ReasonTemplateInvalid,
		v1alpha1.ReasonClientKeyInvalid, v1alpha1.ReasonServiceAccountTokenFailed, v1alpha1.ReasonSubjectInvalid, v1alpha1.ReasonSeedInvalid,
		v1alpha1.ReasonIDTokenInvalid, v1alpha1.ReasonResponseInvalid, v1alpha1.ReasonGrantEnds,
	} {
		if mend := p.mendFor(reason); mend == "" || mend == unknown {
			t.Errorf("%s has no mend of its own", reason)
		}
	}
}

func TestThePublicAddressIsWhatComesBeforeTheCallback(t *testing.T) {
	for uri, want := range map[string]string{
		"": "",
		"https://o.example/callback/ns/team/name":                "https://o.example",
		"https://o.example/base/callback/provider/team/corp":     "https://o.example/base",
		"http://localhost:8082/callback/cluster/corp":            "http://localhost:8082",
		"https://o.example/callback/ns/callback/ns":              "https://o.example",
		"https://o.example/callback/callback/ns/callback/github": "https://o.example/callback",
		"https://o.example/somewhere":                            "",
	} {
		conn := &v1alpha1.OAuthConnection{Status: v1alpha1.OAuthConnectionStatus{RedirectURI: uri}}
		if got := publicAddress(conn); got != want {
			t.Errorf("%s: %q", uri, got)
		}
		conn.Spec.Redirect = v1alpha1.RedirectLoopback
		if got := publicAddress(conn); got != "" {
			t.Errorf("%s with Loopback: %q", uri, got)
		}
	}
	for address, weak := range map[string]bool{
		"https://oauth.example.com": false, "http://oauth.example.com": true, "http://localhost:8082": true, "https://127.0.0.1": true, "https://[::1]:1": true,
	} {
		if f, got := judgeOrigin(address); got != weak {
			t.Errorf("%s: %v", address, f)
		}
	}
}

func TestACertificateThatEndsSoonIsWarnedOf(t *testing.T) {
	page := reach{status: 404, body: "<title>x – oauth-operator</title>", until: noon().Add(48 * time.Hour)}
	expectFinding(t, judgePages("https://a", page, noon()), levelWarning, "its certificate ends in 2d")
	page.until = noon().Add(1000 * time.Hour)
	expectFinding(t, judgePages("https://a", page, noon()), levelOK, "")
}

func TestErrorsOfTheNetworkAreSaidInWords(t *testing.T) {
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for want, err := range map[string]error{
		"its host name does not resolve":                   &net.DNSError{IsNotFound: true},
		"its certificate has expired, or is not valid yet": &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}},
		"its certificate is for another host":              &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}},
		"its certificate is not trusted on this machine":   fmt.Errorf("get: %w", untrusted),
		"it cannot be connected to":                        errors.New("connection refused, with an address"),
	} {
		if got, mend := unreachable(err); got != want || mend == "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAddressesOfProvidersComeFromTheSpecThenThePreset(t *testing.T) {
	for _, test := range []struct {
		name string
		spec v1alpha1.ProviderSpec
		want description
	}{
		{"an issuer", v1alpha1.ProviderSpec{Issuer: "https://a.example"}, description{issuer: "https://a.example", pkce: true}},
		{"no PKCE", v1alpha1.ProviderSpec{Issuer: "https://a.example", PKCE: "None"}, description{issuer: "https://a.example"}},
		{"a preset with endpoints", v1alpha1.ProviderSpec{Preset: "github"}, description{authorization: "https://github.com/login/oauth/authorize", pkce: true}},
		{"a preset with an issuer", v1alpha1.ProviderSpec{Preset: "google"}, description{issuer: "https://accounts.google.com", pkce: true}},
		{"an issuer of its own", v1alpha1.ProviderSpec{Preset: "github", Issuer: "https://a.example"}, description{issuer: "https://a.example", pkce: true}},
		{"an endpoint of its own", v1alpha1.ProviderSpec{Preset: "github", Endpoints: &v1alpha1.Endpoints{Authorization: "https://ghe.example/a"}},
			description{authorization: "https://ghe.example/a", pkce: true}},
		{"a parameter", v1alpha1.ProviderSpec{Preset: "gitlab", Parameters: map[string]string{"host": "git.example"}}, description{authorization: "https://git.example/oauth/authorize", pkce: true}},
		{"a parameter that leads elsewhere", v1alpha1.ProviderSpec{Preset: "gitlab", Parameters: map[string]string{"host": "evil.example/x"}}, description{pkce: true}},
		{"no such preset", v1alpha1.ProviderSpec{Preset: "none"}, description{pkce: true}},
	} {
		got := description{}
		got.addresses(&test.spec)
		if got.issuer != test.want.issuer || got.authorization != test.want.authorization || got.pkce != test.want.pkce {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	for address, want := range map[string]bool{
		"https://idp.example.com": true, "http://idp.example.com": false, "https://localhost": false, "https://10.0.0.1/x": false,
		"https://169.254.169.254": false, "https://[::1]": false, "https://8.8.8.8": true, "": false, "://": false,
	} {
		if probeable(address) != want {
			t.Errorf("%q", address)
		}
	}
}

func TestWhatProvidersAnswerIsJudged(t *testing.T) {
	const uri = "https://o.example/callback/ns/a/b"
	for _, test := range []struct {
		reach
		want  level
		words string
	}{
		{reach{status: 302, location: "/login?next=x"}, levelOK, "does not object"},
		{reach{status: 200, body: "sign in"}, levelOK, "does not object"},
		{reach{status: 403}, levelWarning, "may not be registered"},
		{reach{status: 302, location: "https://idp.example/signin/oauth/error/v2?authError=x"}, levelWarning, "page of errors"},
		{reach{status: 302, location: uri + "?error=invalid_scope&error_description=%1b"}, levelWarning, "refuses the request: invalid_scope"},
		{reach{status: 302, location: uri + "?error=login_required"}, levelOK, "does not object"},
		{reach{status: 503}, levelWarning, "HTTP 503"},
		{reach{err: errors.New("x")}, levelWarning, "it cannot be connected to"},
	} {
		expectFinding(t, judgeRedirect(uri, "register it", test.reach), test.want, test.words)
	}
	for _, test := range []struct {
		reach
		want  level
		words string
	}{
		{reach{status: 200, body: `{"issuer":"https://a.example","authorization_endpoint":"https://a.example/auth"}`}, levelOK, "can be read"},
		{reach{status: 404}, levelWarning, "HTTP 404"},
		{reach{status: 200, body: "<html>"}, levelWarning, "no JSON"},
		{reach{status: 200, body: `{}`}, levelWarning, "another issuer: -"},
	} {
		f, endpoint := judgeMetadata("https://a.example", test.reach)
		expectFinding(t, f, test.want, test.words)
		if (endpoint != "") != (test.want == levelOK) {
			t.Errorf("endpoint %q", endpoint)
		}
	}
	if got := oauth.MetadataAddresses("https://a.example/tenant/"); !slices.Equal(got, []string{
		"https://a.example/tenant/.well-known/openid-configuration", "https://a.example/.well-known/oauth-authorization-server/tenant",
	}) {
		t.Error(got)
	}
}

func TestOddClientSecretsAreFoundWithoutSayingThem(t *testing.T) {
	for value, want := range map[string]string{
		"8f7d0a": "", "8f7d0a\n": "", "8f7d0a\r\n": "", "my secret": "", "secretive-9": "",
		"": "is empty", " \n": "is empty", "8f7d0a \n": "white space", "\t8f7d0a": "white space", "8f7d0a\n\n": "white space",
		"changeme": "placeholder", "<client-secret>": "placeholder", "YOUR-SECRET": "placeholder", "…": "placeholder", "...": "placeholder",
		"xxxxxx": "placeholder", "${CLIENT_SECRET}": "placeholder", catalog.SecretPlaceholder: "placeholder", "client-secret\n": "placeholder",
	} {
		got := oddValue(value)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q", value, got)
		}
	}
}
