// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// certificate is a kubernetes.io/tls Secret s of team-a.
func certificate(t testing.TB, name string, from, to time.Time) *corev1.Secret {
	key := keys()["P-256"]
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "s"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: []byte(certify(t, key, name, from, to)), corev1.TLSPrivateKeyKey: []byte(pkcs8(key))},
	}
}

func withCertificate(spec v1alpha1.ProviderSpec) *v1alpha1.OAuthConnection {
	conn := connection(spec)
	conn.Spec.Client.Authentication = v1alpha1.ClientAuthenticationTLS
	return conn
}

// mutual is a token endpoint that asks for a certificate and says whose came.
func mutual(t testing.TB) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_ = r.ParseForm()
		if r.Form.Get("client_secret") != "" || r.Header.Get("Authorization") != "" || r.Form.Get("client_id") != "id" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": who})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTheClientShowsItsCertificateAndARenewedOne(t *testing.T) {
	server := mutual(t)
	p := newIDP(t)
	e := setup(t, p)
	now := e.clock.Now()
	e.Policy.RootCAs.AddCert(server.Certificate())
	e.HTTP = egress.NewClient(e.Policy)
	stored := certificate(t, "first", now.Add(-time.Hour), now.Add(time.Hour))
	if err := e.kube.Create(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	spec := plain()
	spec.Endpoints.Token = v1alpha1.EndpointURL(server.URL + "/token")
	conn := withCertificate(spec)
	conn.Spec.Grant = v1alpha1.GrantClientCredentials
	ask := func() (string, *http.Client) {
		resolved := e.resolve(t, conn)
		token, err := oauth.ClientCredentials{}.Token(t.Context(), &resolved.Client, nil)
		if err != nil {
			t.Fatal(err)
		}
		return token.AccessToken.Reveal(), resolved.HTTP
	}
	who, first := ask()
	if again, same := ask(); who != "first" || again != "first" || same != first {
		t.Errorf("got %q, then %q, by one client: %t", who, again, same == first)
	}
	renewed := certificate(t, "renewed", now, now.Add(2*time.Hour))
	stored.Data = renewed.Data
	if err := e.kube.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if who, other := ask(); who != "renewed" || other == first {
		t.Errorf("after the renewal it is %q", who)
	}
}

func TestCertificatesThatCannotBeUsedAreNamed(t *testing.T) {
	now := setup(t, nil).clock.Now()
	refusal := func(stored *corev1.Secret, reason string, words ...string) {
		t.Helper()
		e := setup(t, nil, stored)
		if e.refused(t, withCertificate(plain()), reason, words...).Retry == 0 {
			t.Error("no event tells of a renewed certificate, and it is not looked at again")
		}
	}
	refusal(certificate(t, "old", now.Add(-2*time.Hour), now.Add(-time.Hour)), v1alpha1.ReasonClientKeyInvalid, "spec.client.secretRef", "expired on 2026-01-02T02:04:05Z")
	refusal(certificate(t, "new", now.Add(time.Hour), now.Add(2*time.Hour)), v1alpha1.ReasonClientKeyInvalid, "not valid before 2026-01-02T04:04:05Z")
	torn := certificate(t, "torn", now, now.Add(time.Hour))
	torn.Data[corev1.TLSPrivateKeyKey] = []byte(pkcs8(keys()["Ed25519"]))
	refusal(torn, v1alpha1.ReasonClientKeyInvalid, "belong together", "kubectl -n team-a create secret tls s")
	setup(t, nil).refused(t, withCertificate(plain()), v1alpha1.ReasonClientSecretNotFound, "kubectl -n team-a create secret tls s --cert=… --key=…")
	half := certificate(t, "half", now, now.Add(time.Hour))
	delete(half.Data, corev1.TLSPrivateKeyKey)
	refusal(half, v1alpha1.ReasonClientSecretNotFound, `has no key "tls.key"`)
	refusal(secret("team-a", "other", "hush"), v1alpha1.ReasonClientSecretNotFound, `Secret "s" not found`)
}

func TestACertificateThatExpiresWhileInUseIsNamed(t *testing.T) {
	e := setup(t, nil)
	now := e.clock.Now()
	if err := e.kube.Create(t.Context(), certificate(t, "x", now.Add(-time.Hour), now.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	e.resolve(t, withCertificate(plain()))
	e.clock.SetTime(now.Add(2 * time.Hour))
	e.refused(t, withCertificate(plain()), v1alpha1.ReasonClientKeyInvalid, "expired")
}

func TestAliasesAreForClientsWithACertificate(t *testing.T) {
	p := newIDP(t)
	p.document(openID, map[string]any{
		"introspection_endpoint": p.URL + "/introspect",
		"mtls_endpoint_aliases":  map[string]any{"token_endpoint": p.URL + "/mtls/token", "revocation_endpoint": "http://10.0.0.1/"},
	})
	now := setup(t, nil).clock.Now()
	e := setup(t, p, certificate(t, "x", now.Add(-time.Hour), now.Add(time.Hour)))
	spec := v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL)}
	got := e.resolve(t, withCertificate(spec)).Endpoints
	if got.Token != p.URL+"/mtls/token" || got.Revocation != p.URL+"/revoke" || got.Introspection != p.URL+"/introspect" {
		t.Errorf("with a certificate: %+v", got)
	}
	public := connection(spec)
	public.Spec.Client = &v1alpha1.ClientSpec{ID: "id"}
	if got := e.resolve(t, public).Endpoints.Token; got != p.URL+"/token" {
		t.Errorf("without one: %s", got)
	}
	spec.Endpoints = &v1alpha1.Endpoints{Token: "https://written.example/token"}
	if got := e.resolve(t, withCertificate(spec)).Endpoints.Token; got != "https://written.example/token" {
		t.Errorf("what was written does not win: %s", got)
	}
}
