// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authority signs tokens, as a client or an API server does.
type authority struct{ key *ecdsa.PrivateKey }

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key}
}

func (a authority) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: a.key.Public(), KeyID: "k1", Algorithm: string(jose.ES256)}
}

func (a authority) sign(t *testing.T, issuer, subject, audience string) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: a.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: issuer, Subject: subject, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (a authority) federation(issuer, audience, subject string) idp.Federation {
	keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{a.key.Public()}}
	return idp.Federation{Issuer: issuer, Audience: audience, Subject: subject, Keys: keys}
}

// submit sends a form and returns the answer's status and JSON.
func submit(t *testing.T, p *idp.Provider, e idp.Endpoint, form map[string]string) (int, map[string]any) {
	t.Helper()
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL(e), strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body map[string]any
	_ = json.NewDecoder(response.Body).Decode(&body)
	return response.StatusCode, body
}

func wantAccount(t *testing.T, p *idp.Provider, body map[string]any, account string) {
	t.Helper()
	token, _ := body["access_token"].(string)
	if _, resource := get(t, p, idp.API, token); resource["account"] != account {
		t.Errorf("the token is of %v, want %q: %v", resource["account"], account, body)
	}
}

func TestAClientSignsItsAssertionsAndEachIsGoodOnce(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	p := start(t, idp.Options{Clients: []idp.Client{{ID: "robot", Keys: []jose.JSONWebKey{own.public()}}}})
	ask := func(assertion string) (int, map[string]any) {
		return submit(t, p, idp.Token, map[string]string{
			"grant_type": "client_credentials", "client_id": "robot",
			"client_assertion_type": assertionType, "client_assertion": assertion,
		})
	}
	right := own.sign(t, "robot", "robot", p.Issuer())
	status, body := ask(right)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	wantAccount(t, p, body, "robot")
	for name, assertion := range map[string]string{
		"replayed":         right,
		"another's key":    other.sign(t, "robot", "robot", p.Issuer()),
		"another audience": own.sign(t, "robot", "robot", "https://elsewhere.example"),
		"another issuer":   own.sign(t, "stranger", "stranger", p.Issuer()),
	} {
		if status, body := ask(assertion); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
}

func TestAFederatedClientShowsATokenThatSomebodyElseSigned(t *testing.T) {
	const issuer, audience, subject = "https://cluster.example", "api://AzureADTokenExchange", "system:serviceaccount:team-a:robot"
	cluster, other := newAuthority(t), newAuthority(t)
	p := start(t, idp.Options{Introspection: true, Clients: []idp.Client{{
		ID: "app", Federated: []idp.Federation{cluster.federation(issuer, audience, subject)},
	}}})
	ask := func(assertion string) (int, map[string]any) {
		return submit(t, p, idp.Token, map[string]string{
			"grant_type": "client_credentials", "client_id": "app",
			"client_assertion_type": assertionType, "client_assertion": assertion,
		})
	}
	right := cluster.sign(t, issuer, subject, audience)
	for range 2 { // it is good until it expires
		if status, body := ask(right); status != http.StatusOK {
			t.Fatalf("%d %v", status, body)
		}
	}
	for name, assertion := range map[string]string{
		"another ServiceAccount": cluster.sign(t, issuer, "system:serviceaccount:team-b:robot", audience),
		"another audience":       cluster.sign(t, issuer, subject, "https://kubernetes.default.svc"),
		"another issuer":         cluster.sign(t, "https://other.example", subject, audience),
		"another's key":          other.sign(t, issuer, subject, audience),
		"no token":               "x",
	} {
		if status, body := ask(assertion); status != http.StatusUnauthorized || body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
}

func TestAnAssertionIsTradedForAToken(t *testing.T) {
	const issuer, audience, subject = "https://cluster.example", "sts", "system:serviceaccount:team-a:robot"
	cluster, own := newAuthority(t), newAuthority(t)
	p := start(t, idp.Options{
		Trusts: []idp.Federation{cluster.federation(issuer, audience, "")},
		Clients: []idp.Client{
			{ID: "signer@example.com", Keys: []jose.JSONWebKey{own.public()}, Grants: []string{idp.GrantJWTBearer}},
			{ID: "", Grants: []string{idp.GrantTokenExchange}},
			{ID: "app", Secret: "app-secret", Grants: []string{idp.GrantTokenExchange, "refresh_token"}},
		},
	})
	trade := func(more map[string]string) map[string]any {
		t.Helper()
		form := map[string]string{"scope": "read", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
		for name, value := range more {
			form[name] = value
		}
		status, body := submit(t, p, idp.Token, form)
		if status != http.StatusOK {
			t.Fatalf("%v: %d %v", more["grant_type"], status, body)
		}
		return body
	}
	signed := own.sign(t, "signer@example.com", "signer@example.com", p.Issuer())
	wantAccount(t, p, trade(map[string]string{"grant_type": idp.GrantJWTBearer, "assertion": signed}), "signer@example.com")
	held := cluster.sign(t, issuer, subject, audience)
	wantAccount(t, p, trade(map[string]string{"grant_type": idp.GrantJWTBearer, "assertion": held}), subject)
	wantAccount(t, p, trade(map[string]string{"grant_type": idp.GrantTokenExchange, "subject_token": held}), subject)
	body := trade(map[string]string{
		"grant_type": idp.GrantTokenExchange, "subject_token": held, "client_id": "app", "client_secret": "app-secret",
		"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token",
	})
	if wantAccount(t, p, body, subject); body["refresh_token"] == nil {
		t.Error("no refresh token was issued")
	}
	stranger := newAuthority(t).sign(t, issuer, subject, audience)
	for grant, name := range map[string]string{idp.GrantJWTBearer: "assertion", idp.GrantTokenExchange: "subject_token"} {
		form := map[string]string{"grant_type": grant, name: stranger, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}
		if status, body := submit(t, p, idp.Token, form); status < http.StatusBadRequest || body["access_token"] != nil {
			t.Errorf("%s with a stranger's token: %d %v", grant, status, body)
		}
	}
}

func TestAPersonApprovesADevice(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	p := start(t, idp.Options{Clock: clock, Clients: []idp.Client{{ID: "tv", Grants: []string{idp.GrantDeviceCode, "refresh_token"}}}})
	ask := func() (deviceCode, complete string) {
		t.Helper()
		status, body := submit(t, p, idp.DeviceAuthorization, map[string]string{"client_id": "tv", "scope": "openid offline_access"})
		if status != http.StatusOK || body["interval"] != 1.0 || body["verification_uri"] != p.URL(idp.DeviceCode) {
			t.Fatalf("%d %v", status, body)
		}
		return body["device_code"].(string), body["verification_uri_complete"].(string)
	}
	poll := func(deviceCode, want string) map[string]any {
		t.Helper()
		_, body := submit(t, p, idp.Token, map[string]string{"grant_type": idp.GrantDeviceCode, "client_id": "tv", "device_code": deviceCode})
		if got, _ := body["error"].(string); got != want {
			t.Fatalf("the error is %q, want %q", got, want)
		}
		return body
	}
	step := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }

	deviceCode, complete := ask()
	poll(deviceCode, "authorization_pending")
	poll(deviceCode, "slow_down")
	step(5 * time.Second)
	poll(deviceCode, "slow_down") // the interval is 6 s by now
	step(11 * time.Second)
	poll(deviceCode, "authorization_pending")
	page, err := (&idp.Browser{}).Connect(t.Context(), complete, idp.DefaultUser())
	if err != nil || !strings.Contains(page.Body, "The device is connected") {
		t.Fatalf("%v %v", page, err)
	}
	step(time.Minute)
	body := poll(deviceCode, "")
	if wantAccount(t, p, body, "alice"); body["refresh_token"] == nil || body["id_token"] == nil {
		t.Errorf("incomplete answer: %v", body)
	}
	poll(deviceCode, "access_denied") // it was good once

	denied, complete := ask()
	if _, err := (&idp.Browser{}).Deny(t.Context(), complete, idp.DefaultUser()); err != nil {
		t.Fatal(err)
	}
	poll(denied, "access_denied")
	late, _ := ask()
	step(6 * time.Minute)
	poll(late, "expired_token")
}

func TestIntrospectionTellsAClientHowLongItsTokenLives(t *testing.T) {
	p := start(t, idp.Options{Introspection: true})
	token := connect(t, p)
	c := idp.DefaultClient()
	ask := func(value string) map[string]any {
		t.Helper()
		status, body := submit(t, p, idp.Introspection, map[string]string{"token": value, "client_id": c.ID, "client_secret": c.Secret})
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, body)
		}
		return body
	}
	body := ask(token.AccessToken)
	expiry, _ := body["exp"].(float64)
	if left := time.Until(time.Unix(int64(expiry), 0)); body["active"] != true || left < 20*time.Second || left > 31*time.Second {
		t.Errorf("active %v, %s left", body["active"], left)
	}
	p.RevokeConsents("alice")
	if body := ask(token.AccessToken); body["active"] != false {
		t.Errorf("after the consent has ended: %v", body)
	}
	if _, found := document(t, start(t, idp.Options{}))["introspection_endpoint"]; found {
		t.Error("introspection is advertised where it is not served")
	}
}

func TestDiscoveryAdvertisesTheGrantsThatSomebodyMayUse(t *testing.T) {
	plain := document(t, start(t, idp.Options{}))
	if plain["device_authorization_endpoint"] != nil || len(plain["grant_types_supported"].([]any)) != 3 {
		t.Errorf("without such a client: %v", plain)
	}
	device := document(t, start(t, idp.Options{Clients: []idp.Client{{ID: "tv", Grants: []string{idp.GrantDeviceCode}}}}))
	if device["device_authorization_endpoint"] == nil || len(device["grant_types_supported"].([]any)) != 4 {
		t.Errorf("with a client that uses devices: %v", device)
	}
}

func document(t *testing.T, p *idp.Provider) map[string]any {
	t.Helper()
	_, body := get(t, p, idp.Discovery, "")
	return body
}
