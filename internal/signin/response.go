// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// providerSaid sorts the error codes of RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6.
func providerSaid(code string) error {
	switch code {
	case "access_denied", "consent_required", "interaction_required", "login_required", "account_selection_required":
		return fail(Denied, "the sign-in was denied at the provider")
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope":
		return fail(Misconfigured, "the provider refuses the operator's request; check client, redirect URI and scopes")
	}
	return fail(ProviderDown, "the provider failed")
}

// exchange trades the code for an ID token. What comes with it is dropped.
func (p *Provider) exchange(ctx context.Context, found *metadata, code, verifier oauth.Secret) (oauth.Secret, error) {
	client := p.client(found)
	if p.config.ClientSecret != nil {
		var err error
		if client.Secret, err = p.config.ClientSecret(ctx); err != nil {
			return oauth.Secret{}, unavailable("the client secret cannot be read", err)
		}
	}
	token, err := client.Exchange(ctx, code, verifier)
	if err != nil {
		return oauth.Secret{}, exchangeFailed(err)
	}
	if token.IDToken.IsZero() {
		return oauth.Secret{}, fail(BadResponse, "the provider sent no ID token")
	}
	return token.IDToken, nil
}

func exchangeFailed(err error) error {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return fail(ProviderDown, "the code could not be exchanged")
	}
	switch e.Kind {
	case oauth.Reauthorize:
		return fail(Expired, "the provider does not accept the code: it was used before, is too old, or belongs to another sign-in")
	case oauth.ClientRejected, oauth.Misconfigured:
		return fail(Misconfigured, "the provider refuses the operator's client or its secret")
	case oauth.Blocked:
		return fail(Misconfigured, "the operator may not connect to the token endpoint")
	}
	return fail(ProviderDown, "the provider did not exchange the code")
}

// verify checks an ID token (OpenID Connect Core section 3.1.3.7) and returns its claims.
func (p *Provider) verify(ctx context.Context, found *metadata, token oauth.Secret, nonce string) (claims, error) {
	keys := &watchedKeys{KeySet: found.keys}
	verifier := oidc.NewVerifier(p.config.Issuer, keys, &oidc.Config{
		ClientID:             p.config.ClientID,
		SupportedSigningAlgs: signingAlgorithms(),
		Now:                  p.clock.Now,
	})
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	verified, err := verifier.Verify(ctx, token.Reveal())
	switch {
	case keys.unreachable:
		return nil, fail(ProviderDown, "the provider's keys cannot be had")
	case err != nil:
		return nil, fail(BadResponse, "the ID token is not one of this provider for this client, or is over")
	case subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1:
		return nil, fail(BadResponse, "the ID token belongs to another sign-in")
	}
	var held claims
	if err := verified.Claims(&held); err != nil {
		return nil, fail(BadResponse, "the ID token's claims are malformed")
	}
	if !p.authorizedParty(held) {
		return nil, fail(BadResponse, "the ID token was made for another client")
	}
	return held, nil
}

// authorizedParty compares azp, where there is one.
func (p *Provider) authorizedParty(held claims) bool {
	claim, present := held["azp"]
	if !present {
		return true
	}
	var azp string
	return json.Unmarshal(claim, &azp) == nil && azp == p.config.ClientID
}

// signingAlgorithms are those with public keys, whatever the provider lists: with others (none,
// HS256) no key of its would fit.
func signingAlgorithms() []string {
	return []string{
		oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
		oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
	}
}

// watchedKeys tells keys that could not be fetched from a signature that is wrong.
type watchedKeys struct {
	oidc.KeySet
	unreachable bool
}

// VerifySignature implements oidc.KeySet. The library's error wraps another only where fetching failed.
func (k *watchedKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	k.unreachable = errors.Unwrap(err) != nil
	return payload, err
}

// asKind returns err where it is an *Error, else one of the kind.
func asKind(err error, kind Kind, cause string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fail(kind, cause)
}
