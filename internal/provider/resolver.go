// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// Resolver finds out what a connection's provider and client are. Its fields are set before the
// first call; it is then safe for concurrent use and must not be copied.
type Resolver struct {
	// Reader is the cache: provider objects and namespaces.
	Reader client.Reader
	// Secrets reads live.
	Secrets client.Reader
	// HTTP is the guarded client.
	HTTP *http.Client
	// Policy is what HTTP was made from, for an answer before anything is sent.
	Policy egress.Policy
	// Tokens are of ServiceAccounts; nil where there is no API server to ask.
	Tokens ServiceAccountTokens
	// PublicURL is the address under which browsers reach the operator.
	PublicURL string
	// Namespace is the operator's: where the client Secrets of cluster providers are.
	Namespace string
	// Clock tells the time; nil means the real one.
	Clock clock.PassiveClock
	// Catalog holds the presets.
	Catalog *catalog.Catalog

	once  sync.Once
	cache *cache
	err   error
}

// Resolved is a provider together with a client, ready for a grant.
type Resolved struct {
	oauth.Client
	// DisplayName is the name of the provider object, else the preset's, else the provider's host.
	DisplayName string
	// Fingerprint changes when a token that is held must not be sent any more: it covers issuer,
	// client id and every endpoint that was configured.
	Fingerprint string
	// Owner is the namespace that brings the client, or the description where there is none; the operator's
	// where a cluster provider shares its own. Of two clients with one fingerprint one may be made up.
	Owner string
	// CallbackPath is the path of the redirect URI. It is empty where no person comes back from anywhere:
	// with all grants but the authorization code, and for a provider object without a client.
	CallbackPath string
	// Revision changes when the provider object or the Secret of the client or the subject does: what
	// a provider refused before may then be accepted.
	Revision string

	account *program
	rules   []metadataRule
	// bind gives a client what it authenticates with, for its own endpoints.
	bind func(*oauth.Client)

	keys   *keySets
	keysAt string

	policy egress.Policy
	at     origin
	now    func() time.Time
}

// Connection resolves the provider and client of a connection. Only what client and subject show for
// themselves, Secrets and tokens of ServiceAccounts, is asked for live. The error is an *Error.
func (r *Resolver) Connection(ctx context.Context, conn *v1alpha1.OAuthConnection) (*Resolved, error) {
	s, err := r.connectionSource(ctx, conn)
	if err != nil {
		return nil, err
	}
	return r.resolve(ctx, s, true)
}

// Described is Connection without asking anybody: neither the issuer for its metadata nor the API
// server for Secrets and tokens. It is enough while no request is to be made: an issuer that is
// down must not matter to a token that is fresh.
func (r *Resolver) Described(ctx context.Context, conn *v1alpha1.OAuthConnection) (*Resolved, error) {
	s, err := r.connectionSource(ctx, conn)
	if err != nil {
		return nil, err
	}
	return r.resolve(ctx, s, false)
}

// Provider resolves an *OAuthProvider or *ClusterOAuthProvider by itself: its metadata, and its
// client where it has one. The error is an *Error.
func (r *Resolver) Provider(ctx context.Context, obj client.Object) (*Resolved, error) {
	s, err := r.objectSource(obj, origin{field: "spec."})
	if err != nil {
		return nil, err
	}
	return r.resolve(ctx, s, true)
}

func (r *Resolver) resolve(ctx context.Context, s *source, ask bool) (*Resolved, error) {
	resolved, err := r.complete(ctx, s, ask)
	if cause, ok := errors.AsType[*Error](err); ok {
		cause.RedirectURI = r.redirectURI(s)
	}
	return resolved, err
}

func (r *Resolver) complete(ctx context.Context, s *source, ask bool) (*Resolved, error) {
	r.once.Do(r.prepare)
	if r.err != nil {
		return nil, unavailable("the built-in tables", r.err)
	}
	d, err := r.cache.describe(r.Catalog, r.Policy, s.provider, s.providerAt)
	if err != nil {
		return nil, err
	}
	found := &metadata{}
	if ask && d.spec.Issuer != "" {
		if found, err = r.cache.discovery.lookup(ctx, string(d.spec.Issuer)); err != nil {
			return nil, undiscovered(err, s, d)
		}
	}
	compiled, err := r.cache.expressions.programs(d.spec, r.Clock.Now, s.providerAt)
	if err != nil {
		return nil, err
	}
	how := authentication(s.client, d.spec.ClientAuthentication, found.AuthMethods)
	resolved := &Resolved{
		Client:      r.server(d.spec, found, compiled.answers, how == oauth.TLS),
		DisplayName: cmp.Or(s.name, d.displayName), Revision: s.revision, Owner: s.owner(),
		account: compiled.account, rules: compiled.rules,
		keys: r.cache.keys, keysAt: found.Keys,
		policy: r.Policy, at: s.providerAt, now: r.Clock.Now,
	}
	resolved.Authentication = how
	if ask {
		if err := checkEndpoints(resolved, s); err != nil {
			return nil, err
		}
	}
	if err := r.addClient(ctx, resolved, s, d, found, ask); err != nil {
		return nil, err
	}
	resolved.Fingerprint = fingerprint(resolved.ID, d.written)
	return resolved, nil
}

func (r *Resolver) prepare() {
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	r.cache, r.err = newCache(r.HTTP, r.Policy, r.Clock)
}
