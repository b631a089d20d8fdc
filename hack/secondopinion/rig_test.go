// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"context"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const (
	publicURL   = "https://operator.example"
	redirectURI = publicURL + "/callback/ns/team-a/conn"
)

// rig is the operator's own view of a provider: the real resolver and the real guarded client, over a
// fake API server that holds Secrets.
type rig struct {
	*testing.T
	kube     client.Client
	resolver *provider.Resolver
	issuer   string
	ca       []byte
}

func newRig(t *testing.T, issuer string, ca []byte) *rig {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	policy := egress.Policy{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots}
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	kube := fake.NewClientBuilder().WithScheme(testenv.Scheme()).Build()
	return &rig{T: t, kube: kube, issuer: issuer, ca: ca, resolver: &provider.Resolver{
		Reader: kube, Secrets: kube, HTTP: egress.NewClient(policy), Policy: policy,
		PublicURL: publicURL, Namespace: "oauth-operator", Catalog: presets,
	}}
}

// node starts node's oidc-provider. The rig's CA also vouches for the server.
func node(t *testing.T, ca *authority, o secondopinion.Options) *rig {
	t.Helper()
	server := ca.server(t)
	o.Certificate, o.Key, o.ClientCA = server.certPEM, server.keyPEM, certificatePEM(ca.certificate)
	if o.JWKS == nil {
		o.JWKS = signingKeys(rsaKey(t), t)
	}
	p, err := secondopinion.Start(".", o)
	if errors.Is(err, secondopinion.ErrNotInstalled) && os.Getenv("SECOND_OPINION_REQUIRED") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the provider's log:\n%s", p.Log())
		}
	})
	return newRig(t, p.Issuer, certificatePEM(ca.certificate))
}

// signingKeys are a provider's own: RSA for ID tokens, EC for access tokens of a resource.
func signingKeys(key *rsa.PrivateKey, t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key, KeyID: "rsa", Algorithm: string(jose.RS256), Use: "sig"},
		{Key: ecKey(t, elliptic.P256()), KeyID: "ec", Algorithm: string(jose.ES256), Use: "sig"},
	}}
}

// secret creates or replaces a Secret of team-a.
func (r *rig) secret(name string, data map[string][]byte) {
	r.Helper()
	kind := corev1.SecretTypeOpaque
	if data[corev1.TLSCertKey] != nil {
		kind = corev1.SecretTypeTLS
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}, Type: kind, Data: data}
	err := r.kube.Update(r.Context(), secret)
	if apierrors.IsNotFound(err) {
		err = r.kube.Create(r.Context(), secret)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// connection is team-a/conn with a spec in YAML, in which ISSUER stands for the provider. Where the
// spec says nothing of it, the provider is the issuer, and the account an address.
func (r *rig) connection(spec string) *v1alpha1.OAuthConnection {
	r.Helper()
	if !strings.Contains(spec, "provider:") {
		spec += "\nprovider: {issuer: ISSUER, account: userInfo.email}\n"
	}
	conn := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "conn"}}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "ISSUER", r.issuer)), &conn.Spec); err != nil {
		r.Fatal(err)
	}
	return conn
}

// resolved is what a connection of this spec is resolved to.
func (r *rig) resolved(spec string) (*provider.Resolved, *oauth.Client) {
	r.Helper()
	found, err := r.resolver.Connection(r.Context(), r.connection(spec))
	if err != nil {
		r.Fatal(err)
	}
	c, err := found.For(nil)
	if err != nil {
		r.Fatal(err)
	}
	return found, c
}

// consent is what a person does at the provider until the browser returns with a code.
func (r *rig) consent(c *oauth.Client, verifier, nonce string) oauth.Response {
	r.Helper()
	state := oauth.Random()
	address, err := c.Authorize(r.Context(), state, verifier, nonce)
	if err != nil {
		r.Fatal(err)
	}
	r.wantPushed(c, address)
	page := r.walk(address, "")
	location, err := url.Parse(page.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(location.String(), redirectURI+"?") {
		r.Fatalf("the browser ended at %s with %d: %s", page.URL, page.Status, page.Body)
	}
	response, ok := oauth.ParseResponse(location.Query(), c.Dialect.Code)
	if !ok || response.State.Reveal() != state || !c.IsIssuer(response.Issuer) {
		r.Fatalf("the response is not for this request: error %q, issuer %q", response.Error, response.Issuer)
	}
	return response
}

// wantPushed fails unless an address for the browser says nothing but which request it is for, where
// the provider lets requests be pushed (RFC 9126 section 4).
func (r *rig) wantPushed(c *oauth.Client, address string) {
	r.Helper()
	u, err := url.Parse(address)
	if err != nil {
		r.Fatal(err)
	}
	query := u.Query()
	pushed := len(query) == 2 && query.Get("client_id") == c.ID && query.Get("request_uri") != ""
	if want := c.Endpoints.PushedAuthorizationRequest != ""; pushed != want {
		r.Errorf("pushed: %t, want %t; the address has %d parameters", pushed, want, len(query))
	}
}

// walk signs in as jane wherever a password is asked for and presses the first button of every other
// page until no form is left or the browser returns. Where a device is confirmed it presses the button
// that is named, if any, and stops.
func (r *rig) walk(address, button string) *idp.Page {
	r.Helper()
	browser := &idp.Browser{CA: r.ca, Until: func(next *url.URL) bool { return strings.HasPrefix(next.String(), redirectURI) }}
	page, err := browser.Open(r.Context(), address)
	for range 10 {
		if err != nil {
			r.Fatal(err)
		}
		if page.Status != http.StatusOK || len(page.Forms) == 0 {
			return page
		}
		values := url.Values{}
		if page.Forms[0].Fields.Has("password") {
			values = url.Values{"login": {"jane"}, "username": {idp.DefaultUser().Name}, "password": {idp.DefaultUser().Password}}
		}
		stop := button != "" && page.Forms[0].Fields.Has("confirm")
		if stop {
			values.Set(button, "yes") // its button is outside of the form
		}
		if page, err = page.Submit(r.Context(), "", values); stop && err == nil {
			return page
		}
	}
	r.Fatal("more than ten pages")
	return nil
}

// connected walks a whole authorization code flow.
func (r *rig) connected(found *provider.Resolved, c *oauth.Client) *oauth.Token {
	r.Helper()
	verifier, nonce := oauth.Random(), oauth.Random()
	response := r.consent(c, verifier, nonce)
	token, err := c.Exchange(r.Context(), response.Code, oauth.NewSecret(verifier))
	if err != nil {
		r.Fatal(err)
	}
	if err := c.CheckIDToken(token, nonce); err != nil {
		r.Error(err)
	}
	if err := found.VerifyIDToken(r.Context(), token, nonce); err != nil {
		r.Error(err)
	}
	return token
}

// active asks the provider about an access token.
func (r *rig) active(c *oauth.Client, token *oauth.Token) *oauth.Introspection {
	r.Helper()
	answer, err := c.Introspect(r.Context(), token.AccessToken)
	if err != nil {
		r.Fatal(err)
	}
	return answer
}

// refreshed gets the next token.
func (r *rig) refreshed(c *oauth.Client, held *oauth.Token) *oauth.Token {
	r.Helper()
	next, err := c.Refresh(r.Context(), held)
	if err != nil {
		r.Fatal(err)
	}
	if next.AccessToken.Reveal() == held.AccessToken.Reveal() {
		r.Error("the token is the same as before")
	}
	return next
}

// granted asks for a token by a grant that needs nobody.
func (r *rig) granted(grant string, c *oauth.Client) (*oauth.Token, error) {
	r.Helper()
	g, ok := oauth.GrantFor(grant)
	if !ok {
		r.Fatalf("no grant %s", grant)
	}
	return g.Token(r.Context(), c, nil)
}

// wantKind fails unless an error is an *oauth.Error of a kind and code.
func (r *rig) wantKind(err error, kind oauth.Kind, code string) {
	r.Helper()
	cause, ok := errors.AsType[*oauth.Error](err)
	if !ok || cause.Kind != kind || cause.Code != code {
		r.Errorf("got %v, want %s %s", err, kind, code)
	}
}

// tamper changes answers on their way to the operator.
func (r *rig) tamper(change func(*http.Request, *http.Response) error) {
	next := r.resolver.HTTP.Transport
	r.resolver.HTTP.Transport = roundTrip(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil {
			err = change(request, response)
		}
		return response, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serviceAccounts hands out what it is asked for, in place of the API server.
type serviceAccounts func(namespace, name, audience string) (string, error)

func (f serviceAccounts) Token(_ context.Context, namespace, name, audience string) (oauth.Secret, error) {
	token, err := f(namespace, name, audience)
	return oauth.NewSecret(token), err
}

func codeOf(err error) string {
	if cause, ok := errors.AsType[*oauth.Error](err); ok {
		return cause.Code
	}
	return ""
}

// wantPending fails unless a poll for a device was answered with this code.
func (r *rig) wantPending(err error, code string) {
	r.Helper()
	if codeOf(err) != code {
		r.Errorf("got %v, want %s", err, code)
	}
}

// refusal is the reason for which a connection is not resolved.
func (r *rig) refusal(spec string) string {
	r.Helper()
	_, err := r.resolver.Connection(r.Context(), r.connection(spec))
	if cause, ok := errors.AsType[*provider.Error](err); ok {
		return cause.Reason
	}
	return "none"
}
