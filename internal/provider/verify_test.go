// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// idToken signs claims.
func idToken(t testing.TB, key any, algorithm jose.SignatureAlgorithm, claims map[string]any) *oauth.Token {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return &oauth.Token{IDToken: oauth.NewSecret(compact)}
}

func TestIDTokensAreVerified(t *testing.T) {
	p := newIDP(t)
	p.document(openID, map[string]any{"jwks_uri": p.URL + "/keys"})
	p.handle("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: keys()["P-256"].Public(), KeyID: "k"}}})
	})
	const hush = "a client secret of more than thirty-two bytes"
	e := setup(t, p, secret("team-a", "s", hush))
	conn := connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL)})
	conn.Spec.Scopes = []v1alpha1.Scope{"openid"}
	resolved := e.resolve(t, conn)
	good := map[string]any{"iss": p.URL, "aud": "id", "sub": "me", "nonce": "n", "exp": e.clock.Now().Add(time.Hour).Unix()}
	with := func(name string, value any) map[string]any {
		claims := maps.Clone(good)
		claims[name] = value
		return claims
	}
	ec := keys()["P-256"]
	for name, test := range map[string]struct {
		token *oauth.Token
		want  string
	}{
		"good":               {idToken(t, ec, jose.ES256, good), ""},
		"several audiences":  {idToken(t, ec, jose.ES256, with("aud", []string{"other", "id"})), ""},
		"the client secret":  {idToken(t, []byte(hush), jose.HS256, good), ""},
		"none":               {&oauth.Token{}, ""},
		"another key":        {idToken(t, keys()["P-384"], jose.ES384, good), "its signature is not the provider's"},
		"another secret":     {idToken(t, []byte("another secret of more than thirty-two bytes"), jose.HS256, good), "its signature is not the provider's"},
		"no JWT":             {&oauth.Token{IDToken: oauth.NewSecret(hostile)}, "its signature is not the provider's"},
		"another issuer":     {idToken(t, ec, jose.ES256, with("iss", hostile)), "it was issued by another provider"},
		"another client":     {idToken(t, ec, jose.ES256, with("aud", hostile)), "it was made for another client"},
		"expired":            {idToken(t, ec, jose.ES256, with("exp", e.clock.Now().Add(-time.Minute).Unix())), "it has expired"},
		"another request's":  {idToken(t, ec, jose.ES256, with("nonce", hostile)), "it belongs to another authorization request"},
		"without any expiry": {idToken(t, ec, jose.ES256, with("exp", 0)), "it has expired"},
		"odd claims":         {idToken(t, ec, jose.ES256, with("exp", hostile)), "its claims cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			err := resolved.VerifyIDToken(t.Context(), test.token, "n")
			var refused *provider.IDTokenError
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.As(err, &refused) || refused.Unchecked || refused.Cause != test.want):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if err := resolved.VerifyIDToken(t.Context(), idToken(t, ec, jose.ES256, good), ""); err != nil {
		t.Errorf("a refresh has no nonce: %v", err)
	}
	fetched := 0
	for _, path := range p.asked() {
		if path == "/keys" {
			fetched++
		}
	}
	if fetched > 4 { // once, and for keys that are not known
		t.Errorf("the keys were fetched %d times", fetched)
	}
}

func TestWithoutKeysAnIDTokenIsNotVerified(t *testing.T) {
	p := newIDP(t)
	p.document(openID, map[string]any{"jwks_uri": p.URL + "/missing"})
	e := setup(t, p, secret("team-a", "s", "hush"))
	token := idToken(t, keys()["P-256"], jose.ES256, map[string]any{"iss": "x"})
	err := e.resolve(t, connection(v1alpha1.ProviderSpec{Issuer: v1alpha1.EndpointURL(p.URL)})).VerifyIDToken(t.Context(), token, "")
	var refused *provider.IDTokenError
	if !errors.As(err, &refused) || !refused.Unchecked || refused.Cause != "the provider's keys could not be fetched, so its signature is not checked" {
		t.Errorf("keys that cannot be fetched: %v", err)
	}
	if err := e.resolve(t, connection(plain())).VerifyIDToken(t.Context(), token, ""); err != nil {
		t.Errorf("no address of keys: %v", err)
	}
}
