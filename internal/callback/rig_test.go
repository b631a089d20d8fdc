// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	os.Exit(testenv.Run(m, testenv.Options{CRDs: true, RBAC: true}, func(e *testenv.Env) { env = e }))
}

// rig is a callback server with the operator's rights, a real provider and a connection.
type rig struct {
	*Server
	idp      *idp.Provider
	listen   func(http.Handler) *httptest.Server
	url      string
	clock    *clocktesting.FakePassiveClock
	events   *events.FakeRecorder
	registry *prometheus.Registry
	conn     *v1alpha1.OAuthConnection

	mu  sync.Mutex
	log strings.Builder
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, idp.Options{}, httptest.NewServer)
}

// newRigOf has a provider with options, and servers that listen makes.
func newRigOf(t *testing.T, options idp.Options, listen func(http.Handler) *httptest.Server) *rig {
	t.Helper()
	p, err := idp.New(options)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		idp:      p,
		listen:   listen,
		clock:    clocktesting.NewFakePassiveClock(time.Now()),
		events:   events.NewFakeRecorder(100),
		registry: prometheus.NewRegistry(),
	}
	r.Server = newServer(t, r)
	r.url = r.serve(t, r.Server)
	r.conn = r.connection(t, env.Namespace(t), "github")
	t.Cleanup(p.Close)
	t.Cleanup(func() { r.expectNoSecrets(t) })
	return r
}

// logger writes all levels to r.log.
func (r *rig) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.log.WriteString(prefix + " " + args + "\n")
	}, funcr.Options{Verbosity: 10})
}

// expectNoSecrets looks for everything secret that a test has used, where people can read.
func (r *rig) expectNoSecrets(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.log.String()
	attempts := &v1alpha1.OAuthAuthorizationList{}
	if err := env.Client.List(context.Background(), attempts, client.InNamespace(r.conn.Namespace)); err != nil {
		t.Error(err)
	}
	for _, attempt := range attempts.Items {
		seen += fmt.Sprintf("%+v", attempt)
	}
	for len(r.events.Events) > 0 {
		seen += <-r.events.Events
	}
	for _, value := range append(r.idp.Issued(), r.idp.Received()...) {
		if strings.Contains(seen, value) {
			t.Errorf("%q can be read in %s", value, seen)
		}
	}
}

// newServer makes a replica that shares the rig's keyset, clock and API server.
func newServer(t *testing.T, r *rig) *Server {
	t.Helper()
	config, err := env.OperatorConfig(t.Context())
	live := testenv.ClientFor(t, config, err)
	presets, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	policy := egress.Policy{AllowHTTP: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	s := &Server{
		Attempts: &connect.Attempts{
			// The operator reads these from its cache and has no right to get them: the tests' own
			// client stands for the cache, and is never behind.
			Connections: env.Client,
			Client:      live,
			Clock:       r.clock,
			Events:      r.events,
			Modes:       connect.Modes{Pairing: true, PairingCode: true, Link: time.Hour},
		},
		Authorizations: env.Client,
		Limits:         Limits{PerMinute: 100000, Burst: 100000},
	}
	if r.Server == nil {
		s.Keyring, s.Metrics = newKeyring(t), connect.NewMetrics(r.registry)
	} else {
		s.Keyring, s.Metrics, s.PublicURL = r.Keyring, r.Metrics, r.PublicURL
	}
	s.Store = &tokenstore.Store{Client: live, Namespace: testenv.OperatorNamespace, Keyring: s.Keyring, Holder: t.Name(), Clock: clock.RealClock{}}
	s.Resolver = &provider.Resolver{
		Reader: env.Client, Secrets: live, HTTP: egress.NewClient(policy), Policy: policy,
		PublicURL: s.PublicURL, Namespace: testenv.OperatorNamespace, Clock: clock.RealClock{}, Catalog: presets,
	}
	return s
}

func newKeyring(t *testing.T) *seal.Keyring {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := seal.Open(t.Context(), func(context.Context) ([]byte, error) { return keyset, nil })
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

// serve listens and returns the address. The first server's address becomes the public one.
func (r *rig) serve(t *testing.T, s *Server) string {
	t.Helper()
	var handler http.Handler
	var once sync.Once
	listener := r.listen(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() { handler = s.Handler() })
		handler.ServeHTTP(w, req.WithContext(log.IntoContext(req.Context(), r.logger())))
	}))
	t.Cleanup(listener.Close)
	if s.PublicURL == "" {
		s.PublicURL, s.Resolver.PublicURL = listener.URL, listener.URL
	}
	return listener.URL
}

// connection creates a connection to the provider, with its client Secret.
func (r *rig) connection(t *testing.T, namespace, name string) *v1alpha1.OAuthConnection {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-client"},
		Data:       map[string][]byte{"client-secret": []byte(idp.DefaultClient().Secret)},
	}
	conn := &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.OAuthConnectionSpec{
			Provider: &v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(r.idp.Issuer())},
			Client:   &v1alpha1.ClientSpec{ID: idp.DefaultClient().ID, SecretRef: &v1alpha1.SecretKeyRef{Name: secret.Name, Key: "client-secret"}},
			Scopes:   []v1alpha1.Scope{"openid", "email", "offline_access"},
		},
	}
	for _, object := range []client.Object{secret, conn} {
		if err := env.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// update changes the connection's spec.
func (r *rig) update(t *testing.T, change func(*v1alpha1.OAuthConnection)) {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(r.conn), r.conn); err != nil {
		t.Fatal(err)
	}
	change(r.conn)
	if err := env.Client.Update(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
}

// start is the address that Link mode gives out.
func (r *rig) start(t *testing.T, conn *v1alpha1.OAuthConnection) string {
	t.Helper()
	consent, err := r.consentHeld(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := r.Keyring.SealTicket(seal.Ticket{Namespace: conn.Namespace, Name: conn.Name, UID: string(conn.UID), Consent: consent, Expires: r.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return r.PublicURL + "/connect/" + conn.Namespace + "/" + conn.Name + "?ticket=" + ticket
}

// atCallback walks a browser up to the provider's redirect back, and returns its address.
func (r *rig) atCallback(t *testing.T, b *idp.Browser, conn *v1alpha1.OAuthConnection) string {
	t.Helper()
	b.Until = func(next *url.URL) bool { return strings.HasPrefix(next.Path, "/callback/") }
	page, err := b.Connect(t.Context(), r.start(t, conn), idp.DefaultUser())
	b.Until = nil
	if err != nil {
		t.Fatal(err)
	}
	address := page.Header.Get("Location")
	if !strings.HasPrefix(address, r.PublicURL+"/callback/") {
		t.Fatalf("the walk ends at %s with status %d: %s", page.URL.Redacted(), page.Status, page.Body)
	}
	return address
}

func open(t *testing.T, b *idp.Browser, address string) *idp.Page {
	t.Helper()
	page, err := b.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// expect says what a page shows.
func expect(t *testing.T, page *idp.Page, n notice) {
	t.Helper()
	if w := wordsOf(n); page.Status != w.Status || title(page.Body) != w.Title {
		t.Errorf("status %d and %q, want the page %s", page.Status, title(page.Body), n)
	}
	expectHeaders(t, page.Header)
}

// title is the heading of a page, or the page where there is none.
func title(body string) string {
	_, rest, _ := strings.Cut(body, "<h1>")
	heading, _, found := strings.Cut(rest, "</h1>")
	if !found {
		return body
	}
	return html.UnescapeString(heading)
}

func expectHeaders(t *testing.T, h http.Header) {
	t.Helper()
	policy := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'", "form-action "} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if p := h.Get("Referrer-Policy"); p != "no-referrer" && p != "same-origin" {
		t.Errorf("Referrer-Policy is %q", p)
	}
	if h.Get("Permissions-Policy") == "" {
		t.Error("Permissions-Policy is not set")
	}
}

// record returns what the store holds for the connection.
func (r *rig) record(t *testing.T, conn *v1alpha1.OAuthConnection) *tokenstore.Record {
	t.Helper()
	record, err := r.Store.Get(t.Context(), tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID})
	if err != nil {
		return nil
	}
	return record
}

// attempts lists the OAuthAuthorizations of the connection's namespace.
func (r *rig) attempts(t *testing.T) []v1alpha1.OAuthAuthorization {
	t.Helper()
	list := &v1alpha1.OAuthAuthorizationList{}
	if err := env.Client.List(t.Context(), list, client.InNamespace(r.conn.Namespace)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// expectUntouched says that nothing was claimed, exchanged or stored.
func (r *rig) expectUntouched(t *testing.T) {
	t.Helper()
	if n := r.idp.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
	if r.record(t, r.conn) != nil {
		t.Error("a record is stored")
	}
	for _, attempt := range r.attempts(t) {
		if attempt.Status.ClaimedAt != nil {
			t.Errorf("the attempt %s is claimed", attempt.Name)
		}
	}
}

// counted reads oauth_operator_authorizations_total.
func (r *rig) counted(outcome string) int {
	families, err := r.registry.Gather()
	if err != nil {
		return -1
	}
	for _, metric := range families[0].Metric {
		if metric.Label[0].GetValue() == outcome {
			return int(metric.Counter.GetValue())
		}
	}
	return -1
}

// with changes parameters of an address; an empty value removes one.
func with(t *testing.T, address string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		query.Del(pairs[i])
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func get(t *testing.T, method, address string, cookies ...*http.Cookie) (*http.Response, string) {
	t.Helper()
	return send(t, method, address, "", nil, cookies...)
}

// send makes one request without following redirects.
func send(t *testing.T, method, address, body string, header http.Header, cookies ...*http.Cookie) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	for _, cookie := range cookies {
		req.AddCookie(cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(out)
}
