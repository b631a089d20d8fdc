// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// doubled repeats a step that makes twice as much of a list without holding it twice.
func doubled(start, step, use string) string {
	return start + strings.Repeat(step, 24) + use
}

func TestExpressionsThatDoubleAreStopped(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for name, expression := range map[string]string{
		"a list compared": doubled("[[2]]", ".map(a,a+a)", ".all(a,a==a)?'a':'b'"),
		"a list searched": "1 in " + doubled("[[2]]", ".map(a,a+a)", "[0]?'a':'b'"),
		"nested lists":    doubled("[1]", ".map(a,[a,a])", ".all(a,a==a)?'a':'b'"),
		"nested objects":  doubled("[1]", ".map(a,{1:a,2:a})", ".all(a,a==a)?'a':'b'"),
	} {
		spec := plain()
		spec.Account = expression
		resolved := e.resolve(t, connection(spec))
		started := time.Now()
		got, err := resolved.Account(t.Context(), token("", nil), nil)
		if took := time.Since(started); got != "" || err == nil || took > 500*time.Millisecond {
			t.Errorf("%s: %q, %v after %s", name, got, err, took)
		}
	}
}

func TestAListWithoutEndIsNoScope(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	spec := plain()
	spec.TokenResponse = &v1alpha1.TokenResponseRules{Scope: v1alpha1.Expression(doubled("[['a']]", ".map(a,a+a)", "[0]"))}
	read := e.resolve(t, connection(spec)).Dialect.Read(oauth.Answer{Status: http.StatusOK, Body: map[string]any{"access_token": "x"}})
	if list, _ := read.Body["scope"].([]any); len(list) > 0 || len(read.Issues) != 1 {
		t.Errorf("%d scopes, %v", len(list), read.Issues)
	}
}

func TestPatternsAreShortAndWrittenOut(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	for expression, wanted := range map[string]string{
		`idToken.x.matches(body.pattern) ? 'a' : 'b'`:                                           "written out",
		`matches(idToken.x, 'a' + body.pattern) ? 'a' : 'b'`:                                    "written out",
		`idToken.x.matches('` + strings.Repeat("(?:a?){1000}", 35) + `') ? 'a' : 'b'`:           "exceeds limit",
		`userInfo.x.exists(x, x.matches('` + strings.Repeat(`\\pL{1000}`, 30) + `')) ? '' : ''`: "exceeds limit",
	} {
		spec := plain()
		spec.Account = expression
		_, err := e.Connection(t.Context(), connection(spec))
		if refused, ok := errors.AsType[*provider.Error](err); !ok || !strings.Contains(refused.Message, wanted) {
			t.Errorf("%.60s: %v", expression, err)
		}
	}
	spec := plain()
	spec.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: strings.Repeat("(?:a?){1000}", 20)}}
	if _, err := e.Connection(t.Context(), connection(spec)); err == nil || !strings.Contains(err.Error(), "metadata[x].pattern") {
		t.Errorf("a pattern of 40000 steps is taken: %v", err)
	}
	spec = plain()
	spec.Account = `idToken.email.matches('^[a-z0-9.]{1,64}@example[.]com$') ? idToken.email : ''`
	spec.Metadata = []v1alpha1.MetadataRule{{Name: "x", Value: "body.x", Pattern: `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){1,8}`}}
	e.resolve(t, connection(spec))
}

// long is an RSA key of so many bits that nobody can factor, and everybody can make at once: its factors are
// no primes.
func long(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	for range 100 {
		var factors []*big.Int
		for range 2 {
			raw := make([]byte, bits/16)
			_, _ = rand.Read(raw)
			raw[0], raw[len(raw)-1] = raw[0]|0xc0, raw[len(raw)-1]|1
			factors = append(factors, new(big.Int).SetBytes(raw))
		}
		p, q := factors[0], factors[1]
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		phi := new(big.Int).Mul(p1, q1)
		d, inverse := new(big.Int).ModInverse(e, phi.Div(phi, new(big.Int).GCD(nil, nil, p1, q1))), new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: factors}
		key.Precomputed = rsa.PrecomputedValues{Dp: new(big.Int).Mod(d, p1), Dq: new(big.Int).Mod(d, q1), Qinv: inverse}
		return key
	}
	t.Fatal("no key was found")
	return nil
}

func TestAKeyThatTakesMinutesToSignWithIsRefused(t *testing.T) {
	now := time.Now()
	for _, bits := range []int{16384, 131072} {
		key := long(t, bits)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
		raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), keys()["P-256"])
		if err != nil {
			t.Fatal(err)
		}
		written := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
		stored := secret("team-a", "s", written)
		stored.Data[corev1.TLSPrivateKeyKey] = []byte(written)
		stored.Data[corev1.TLSCertKey] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
		e := setup(t, nil, stored)
		for _, how := range []v1alpha1.ClientAuthentication{v1alpha1.ClientAuthenticationPrivateKeyJWT, v1alpha1.ClientAuthenticationTLS} {
			conn := connection(plain())
			conn.Spec.Client.Authentication = how
			started := time.Now()
			e.refused(t, conn, v1alpha1.ReasonClientKeyInvalid, "more than")
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("%s with %d bits takes %s", how, bits, took)
			}
		}
	}
}

func TestAnAnswerMayBeLargeAndDeep(t *testing.T) {
	e := setup(t, nil, secret("team-a", "s", "hush"))
	list, deep := make([]any, 20_000), any("octocat")
	for i := range list {
		list[i] = "x"
	}
	for range 30 {
		deep = map[string]any{"a": deep}
	}
	spec := plain()
	spec.Account = "body.list[19999] == 'x' && size(body.list) == 20000 ? body" + strings.Repeat(".a", 31) + " : ''"
	got, err := e.resolve(t, connection(spec)).Account(t.Context(), token("", map[string]any{"list": list, "a": deep}), nil)
	if got != "octocat" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
