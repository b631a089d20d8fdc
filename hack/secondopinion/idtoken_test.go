// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package secondopinion_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/oauth-operator/oauth-operator/hack/secondopinion"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// A proxy that holds the provider's own key makes ID tokens that the provider never would.
func TestAnIDTokenForSomebodyElseIsNotBelieved(t *testing.T) {
	key, stranger := rsaKey(t), rsaKey(t)
	r := withSecret(node(t, newAuthority(t), secondopinion.Options{
		Clients: []secondopinion.Client{secretApp("client_secret_basic")}, JWKS: signingKeys(key, t),
	}))
	var change func(claims map[string]any) *rsa.PrivateKey
	r.tamper(func(request *http.Request, response *http.Response) error {
		if change == nil || !strings.HasSuffix(request.URL.Path, "/token") {
			return nil
		}
		return forge(response, change)
	})
	for name, row := range map[string]struct {
		claim string
		value any
		key   *rsa.PrivateKey
		cause string
	}{
		"untouched":        {"", nil, key, ""},
		"another audience": {"aud", "somebody-else", key, "another client"},
		"another issuer":   {"iss", "https://evil.example", key, "another provider"},
		"expired":          {"exp", time.Now().Add(-time.Hour).Unix(), key, "expired"},
		"another key":      {"", nil, stranger, "signature"},
		"another nonce":    {"nonce", "another", key, "another authorization request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			change = func(claims map[string]any) *rsa.PrivateKey {
				if row.claim != "" {
					claims[row.claim] = row.value
				}
				return row.key
			}
			found, c := r.resolved(offline)
			verifier, nonce := oauth.Random(), oauth.Random()
			token, err := c.Exchange(t.Context(), r.consent(c, verifier, nonce).Code, oauth.NewSecret(verifier))
			if err != nil {
				t.Fatal(err) // the tokens are good and kept
			}
			err = found.VerifyIDToken(t.Context(), token, nonce)
			refusal, ok := errors.AsType[*provider.IDTokenError](err)
			switch {
			case row.cause == "" && err != nil:
				t.Error(err)
			case row.cause != "" && (!ok || !strings.Contains(refusal.Cause, row.cause)):
				t.Errorf("got %v, want a word about %s", err, row.cause)
			}
		})
	}
}

// forge signs the ID token of an answer anew.
func forge(response *http.Response, change func(map[string]any) *rsa.PrivateKey) error {
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if raw, ok := answer["id_token"].(string); ok {
		claims := (&oauth.Token{IDToken: oauth.NewSecret(raw)}).Claims()
		key := change(claims)
		options := (&jose.SignerOptions{}).WithHeader("kid", "rsa")
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options)
		if err != nil {
			return err
		}
		if answer["id_token"], err = jwt.Signed(signer).Claims(claims).Serialize(); err != nil {
			return err
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	response.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
