// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/callback"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
)

// What may never be printed.
const (
	heldToken  = "gho_the-access-token"
	heldSecret = "the-client-secret-of-the-provider"
)

const (
	publicHost   = "oauth.example.com"
	providerHost = "idp.example.com"
	issuer       = "https://" + providerHost
)

// clinic is a namespace with OAuthConnection github, healthy in all that doctor looks at, and alice,
// who has role edit there.
type clinic struct {
	*testing.T
	*testenv.Env
	team        string
	conn        *v1alpha1.OAuthConnection
	clock       *clocktesting.FakeClock
	skew        time.Duration // of that clock
	config      func() string // a kubeconfig
	hosts       map[string]http.Handler
	certificate time.Time // at which certificates are judged; zero: now
	text        string    // of the last examination
}

func newClinic(t *testing.T, e *testenv.Env) *clinic {
	t.Helper()
	c := &clinic{T: t, Env: e, team: e.Namespace(t), clock: clocktesting.NewFakeClock(time.Now())}
	c.hosts = map[string]http.Handler{publicHost: operatorPages(), providerHost: providerPages(issuer)}
	c.config = sync.OnceValue(func() string { return c.login("alice", testenv.Edit) })
	c.conn = &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.team, Name: "github"},
		Spec: v1alpha1.OAuthConnectionSpec{
			Provider: &v1alpha1.ProviderSpec{Issuer: issuer},
			Client:   &v1alpha1.ClientSpec{ID: "0123", SecretRef: &v1alpha1.SecretKeyRef{Name: "github-client"}},
			Secret:   v1alpha1.SecretSpec{Name: "github-token"},
		},
	}
	c.create(c.conn)
	c.status(func(s *v1alpha1.OAuthConnectionStatus) { *s = c.healthyStatus() })
	c.create(&corev1.Secret{ObjectMeta: c.meta("github-client"), StringData: map[string]string{"client-secret": heldSecret + "\n"}})
	target := &corev1.Secret{ObjectMeta: c.meta("github-token"), StringData: map[string]string{
		"access_token": heldToken, "token_type": "Bearer", "scope": "", "expiry": c.clock.Now().Add(8 * time.Hour).UTC().Format(time.RFC3339)}}
	c.must(controllerutil.SetControllerReference(c.conn, target, e.Client.Scheme()))
	c.create(target)
	c.create(&corev1.Pod{ObjectMeta: c.meta("web"), Spec: mounting("github-token", "")})
	return c
}

func (c *clinic) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: c.team, Name: name}
}

func (c *clinic) create(obj client.Object) {
	c.Helper()
	c.must(c.Client.Create(c.Context(), obj))
}

// status writes as the operator does.
func (c *clinic) status(change func(*v1alpha1.OAuthConnectionStatus)) {
	c.Helper()
	change(&c.conn.Status)
	c.must(c.Client.Status().Update(c.Context(), c.conn))
}

// spec changes the connection, and lets the operator look at it.
func (c *clinic) spec(change func(*v1alpha1.OAuthConnectionSpec)) {
	c.Helper()
	change(&c.conn.Spec)
	status := c.conn.Status
	c.must(c.Client.Update(c.Context(), c.conn))
	c.status(func(s *v1alpha1.OAuthConnectionStatus) { *s = status; s.ObservedGeneration = c.conn.Generation })
}

func (c *clinic) healthyStatus() v1alpha1.OAuthConnectionStatus {
	now := c.clock.Now()
	s := v1alpha1.OAuthConnectionStatus{
		ObservedGeneration: c.conn.Generation, Provider: "GitHub", Account: "octocat", Binding: &v1alpha1.Binding{Name: "github-token"},
		RedirectURI: "https://" + publicHost + "/callback/ns/" + c.team + "/github",
		RefreshAt:   &metav1.Time{Time: now.Add(7 * time.Hour)}, ExpiresAt: &metav1.Time{Time: now.Add(8 * time.Hour)},
	}
	for _, name := range []string{"ClientResolved", "Authorized", "TokenFresh", "SecretPublished", "Ready"} {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: name, Status: metav1.ConditionTrue, Reason: "Done", Message: "done"})
	}
	return s
}

// unwell is a step that is not done, and Ready with it.
func (c *clinic) unwell(step, reason, message string) {
	c.status(func(s *v1alpha1.OAuthConnectionStatus) {
		for _, name := range []string{step, "Ready"} {
			meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: name, Status: metav1.ConditionFalse, Reason: reason, Message: message})
		}
	})
}

// change rewrites a Secret.
func (c *clinic) change(name string, edit func(*corev1.Secret)) {
	c.Helper()
	secret := &corev1.Secret{}
	c.must(c.Client.Get(c.Context(), client.ObjectKey{Namespace: c.team, Name: name}, secret))
	edit(secret)
	c.must(c.Client.Update(c.Context(), secret))
}

func (c *clinic) remove(obj client.Object) {
	c.Helper()
	c.must(c.Client.Delete(c.Context(), obj, client.GracePeriodSeconds(0)))
}

// login makes a kubeconfig of a person with a role in the namespace.
func (c *clinic) login(name string, role testenv.Role) string {
	c.Helper()
	config, err := c.Person(c.Context(), name, role, c.team)
	c.must(err)
	path := filepath.Join(c.TempDir(), "kubeconfig")
	c.must(testenv.WriteKubeconfig(path, config))
	return path
}

// administrator is who looks.
func (c *clinic) administrator() {
	c.config = func() string {
		path := filepath.Join(c.TempDir(), "kubeconfig")
		c.must(testenv.WriteKubeconfig(path, c.Config))
		return path
	}
}

// browser reaches the hosts of the clinic, and no others.
func (c *clinic) browser() *http.Client {
	web := newWeb()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.hosts[r.Host].ServeHTTP(w, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // certificates are refused on purpose
	server.StartTLS()
	c.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	web.Transport = &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Time: func() time.Time { return c.certificate }},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err == nil && c.hosts[host] == nil {
				err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	return web
}

// examine runs the verb and returns what it found.
func (c *clinic) examine(only string) (*diagnosis, error) {
	c.Helper()
	var out, errOut bytes.Buffer
	kubeconfig := c.config() // takes its time
	c.clock.SetTime(time.Now().Add(c.skew))
	a := newApp("kubectl-oauth", genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}, c.clock)
	*a.flags.KubeConfig, *a.flags.Namespace = kubeconfig, c.team
	d := &doctor{app: a, only: only, output: "json", web: c.browser()}
	err := d.run(c.Context())
	r := &diagnosis{}
	if jsonErr := json.Unmarshal(out.Bytes(), r); jsonErr != nil {
		c.Fatalf("%v: %v\n%s", err, jsonErr, out.String())
	}
	var text bytes.Buffer
	c.must(r.print(&text, paint{}))
	c.text = c.readable(text.String())
	for _, never := range []string{heldToken, heldSecret} {
		if strings.Contains(out.String()+errOut.String(), never) {
			c.Errorf("%s was printed", never)
		}
	}
	if errOut.Len() > 0 {
		c.Errorf("said besides: %s", errOut.String())
	}
	if (r.Faults > 0) != (err != nil) {
		c.Errorf("%d faults, and the error is %v", r.Faults, err)
	}
	return r, err
}

// readable takes out of a text what changes.
func (c *clinic) readable(text string) string {
	text = regexp.MustCompile(`Kubernetes v\S+`).ReplaceAllString(text, "Kubernetes v1.34.0")
	return strings.ReplaceAll(text, c.team, "team")
}

// lines are the findings that are not well, mark first.
func (c *clinic) lines(r *diagnosis) []string {
	all := r.Installation
	for _, conn := range r.Connections {
		all = append(all, conn.Findings...)
	}
	var lines []string
	for _, f := range all {
		if f.Level != levelOK {
			lines = append(lines, c.readable(fmt.Sprintf("%s %s: %s | %s", f.Level.mark().text, f.Check, f.Found, f.Mend)))
		}
	}
	return lines
}

// operatorPages are the operator's own.
func operatorPages() http.Handler {
	attempts := &connect.Attempts{Metrics: connect.NewMetrics(prometheus.NewRegistry()), Clock: clock.RealClock{}}
	return (&callback.Server{Attempts: attempts, PublicURL: "https://" + publicHost}).Handler()
}

// providerPages are the metadata of an issuer, and a page to sign in.
func providerPages(issuer string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"https://%s/authorize"}`, issuer, providerHost)
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
	return mux
}

// answering is a host that says the same to everything.
func answering(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// mounting is a pod that has the Secret in a volume, as a whole or by subPath.
func mounting(secret, subPath string) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "app", Image: "app", VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/oauth", SubPath: subPath}},
		}},
		Volumes: []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
	}
}

// environed is a pod that has a key of the Secret in its environment.
func environed(secret string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app", Env: []corev1.EnvVar{{
		Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: "access_token"}},
	}}}}}
}

func deployment(m metav1.ObjectMeta, pod corev1.PodSpec) *appsv1.Deployment {
	labels := map[string]string{"app": m.Name}
	return &appsv1.Deployment{ObjectMeta: m, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
	}}
}
