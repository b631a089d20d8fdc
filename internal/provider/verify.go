// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// cachedKeySets of at most 64 KiB each, which take half a MiB once they are read. A set that had to go is
// fetched again.
const cachedKeySets = 96

// IDTokenError means that an ID token was not made by this provider for this client, or is Unchecked.
type IDTokenError struct {
	// Cause is a fixed part of a sentence about the ID token.
	Cause string
	// Unchecked means that the provider's keys could not be fetched: nothing is wrong that is known.
	Unchecked bool
}

// Error returns the cause.
func (e *IDTokenError) Error() string { return e.Cause }

// keySets are the keys of providers, by their address.
type keySets struct {
	http  *http.Client
	cache *lru.Cache[string, *oidc.RemoteKeySet]
}

func newKeySets(client *http.Client) (*keySets, error) {
	cache, err := lru.New[string, *oidc.RemoteKeySet](cachedKeySets)
	return &keySets{http: client, cache: cache}, err
}

func (k *keySets) at(address string) *oidc.RemoteKeySet {
	if known, found := k.cache.Get(address); found {
		return known
	}
	made := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), k.http), address)
	k.cache.Add(address, made)
	return made
}

// keySet verifies what a provider signed: with its own key, or with the client's secret (OpenID Connect
// Core section 3.1.3.7, point 8).
type keySet struct {
	*oidc.RemoteKeySet
	secret oauth.Secret
}

var errSignature = errors.New("the signature is not the client secret's")

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512})
	if err != nil {
		return k.RemoteKeySet.VerifySignature(ctx, token)
	}
	if k.secret.IsZero() {
		return nil, errSignature
	}
	return signed.Verify([]byte(k.secret.Reveal()))
}

// idTokenAlgorithms are all that a signature can have. Which of them counts is decided by the key.
func idTokenAlgorithms() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
	}
}

// VerifyIDToken checks signature, issuer, audience, expiry and, where one is given, nonce of the ID
// token (OpenID Connect Core section 3.1.3.7). The error is an *IDTokenError. It is nil where the answer
// holds no ID token or the provider's keys are not known.
func (r *Resolved) VerifyIDToken(ctx context.Context, token *oauth.Token, nonce string) error {
	if token.IDToken.IsZero() || r.keys == nil || r.keysAt == "" {
		return nil
	}
	verifier := oidc.NewVerifier(r.Issuer, keySet{r.keys.at(r.keysAt), r.Secret}, &oidc.Config{
		// Compared below, each with a word of its own.
		SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true,
		SupportedSigningAlgs: idTokenAlgorithms(),
	})
	ctx, cancel := context.WithTimeout(ctx, userInfoTimeout)
	defer cancel()
	verified, err := verifier.Verify(ctx, token.IDToken.Reveal())
	switch {
	case err != nil && strings.Contains(err.Error(), "fetching keys"):
		return &IDTokenError{Cause: "the provider's keys could not be fetched, so its signature is not checked", Unchecked: true}
	case err != nil && strings.Contains(err.Error(), "unmarshal claims"):
		return &IDTokenError{Cause: "its claims cannot be read"}
	case err != nil:
		return &IDTokenError{Cause: "its signature is not the provider's"}
	case r.Issuer != "" && verified.Issuer != r.Issuer && "https://"+verified.Issuer != r.Issuer: // Google may leave the scheme out
		return &IDTokenError{Cause: "it was issued by another provider"}
	case !slices.Contains(verified.Audience, r.ID):
		return &IDTokenError{Cause: "it was made for another client"}
	case verified.Expiry.Before(r.now()):
		return &IDTokenError{Cause: "it has expired"}
	case nonce != "" && slices.Contains(r.Scopes, "openid") && verified.Nonce != nonce:
		return &IDTokenError{Cause: "it belongs to another authorization request"}
	}
	return nil
}
