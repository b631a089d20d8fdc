// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	discoveryTimeout = 10 * time.Second
	// discoveryTTL also bounds for how long a signing key counts that the provider has withdrawn.
	discoveryTTL   = time.Hour
	discoveryRetry = 30 * time.Second
)

// metadata is what is used of the issuer's document (OpenID Connect Discovery section 3, RFC 9207
// section 3), with the keys that it points to.
type metadata struct {
	JWKS          string   `json:"jwks_uri"`
	Scopes        []string `json:"scopes_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	IssInResponse bool     `json:"authorization_response_iss_parameter_supported"`

	endpoints oauth.Endpoints
	keys      oidc.KeySet
}

// authentication is pinned by what the provider lists; the default is Basic (Discovery section 3).
func (m *metadata) authentication(public bool) oauth.Authentication {
	switch {
	case public:
		return oauth.None
	case slices.Contains(m.AuthMethods, "client_secret_post") && !slices.Contains(m.AuthMethods, "client_secret_basic"):
		return oauth.Post
	}
	return oauth.Basic
}

// discovery finds the issuer's metadata when it is first needed, and remembers it.
type discovery struct {
	issuer string
	http   *http.Client
	clock  clock.PassiveClock
	flight singleflight.Group

	mu   sync.Mutex
	last outcome
}

// outcome is metadata or why there is none, and for how long that is not asked about again.
type outcome struct {
	found *metadata
	err   error
	until time.Time
}

// lookup returns the metadata or an *Error. Callers that ask at the same time share one request,
// which none of them can cancel.
func (d *discovery) lookup(ctx context.Context) (*metadata, error) {
	last := d.remembered()
	if d.clock.Now().Before(last.until) {
		return last.found, last.err
	}
	answer := d.flight.DoChan("", func() (any, error) { return d.renew(context.WithoutCancel(ctx)), nil })
	select {
	case result := <-answer:
		fresh, _ := result.Val.(outcome)
		return fresh.found, fresh.err
	case <-ctx.Done():
		return nil, fail(ProviderDown, "looking up the provider's metadata was interrupted")
	}
}

func (d *discovery) remembered() outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// renew fetches and remembers. While the provider does not answer, what it said last is used on.
func (d *discovery) renew(ctx context.Context) outcome {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	found, failed := d.fetch(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	retry := d.clock.Now().Add(discoveryRetry)
	switch {
	case failed == nil:
		d.last = outcome{found: found, until: d.clock.Now().Add(discoveryTTL)}
	case failed.Kind == ProviderDown && d.last.found != nil:
		d.last.until = retry
	default:
		d.last = outcome{err: failed, until: retry}
	}
	return d.last
}

func (d *discovery) fetch(ctx context.Context) (*metadata, *Error) {
	ctx = oidc.ClientContext(ctx, d.http)
	provider, err := oidc.NewProvider(ctx, d.issuer)
	if err != nil {
		return nil, undiscovered(err)
	}
	found := &metadata{endpoints: oauth.Endpoints{
		Authorization: provider.Endpoint().AuthURL,
		Token:         provider.Endpoint().TokenURL,
	}}
	if err := provider.Claims(found); err != nil {
		return nil, fail(ProviderDown, "the provider's metadata is malformed")
	}
	for _, address := range []string{found.endpoints.Authorization, found.endpoints.Token, found.JWKS} {
		if !d.usable(address) {
			return nil, fail(Misconfigured, "the provider's metadata lacks an address, or has one that is not https")
		}
	}
	found.keys = oidc.NewRemoteKeySet(ctx, found.JWKS)
	return found, nil
}

// usable wants https, or http of an issuer that has it too: development.
func (d *discovery) usable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	issuer, err := url.Parse(d.issuer)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http" && issuer.Scheme == "http")
}

// undiscovered words an error that may hold anything.
func undiscovered(err error) *Error {
	var other *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &other):
		return fail(Misconfigured, "the metadata names another issuer; spell it as the provider does, with or without a slash at its end")
	case blocked(err):
		return fail(Misconfigured, "the operator may not connect to the issuer")
	}
	return fail(ProviderDown, "the provider's metadata cannot be had; if this lasts, check the issuer")
}

func blocked(err error) bool {
	var guard interface{ Blocked() bool }
	return errors.As(err, &guard) && guard.Blocked()
}
