// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"net/http"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Resolver finds out what a connection's provider and client are. It is safe for concurrent use.
type Resolver struct {
	// Reader is the cache: provider objects and namespaces.
	Reader client.Reader
	// Secrets reads live.
	Secrets client.Reader
	// HTTP is the guarded client.
	HTTP *http.Client
	// PublicURL is the address under which browsers reach the operator, without a trailing slash.
	PublicURL string
	// Namespace is the operator's: where the client Secrets of cluster providers are.
	Namespace string
	// Clock tells the time.
	Clock clock.PassiveClock
	// Catalog holds the presets.
	Catalog *Catalog
}

// Resolved is a provider together with a client, ready for a grant.
type Resolved struct {
	oauth.Client
	// DisplayName of the provider.
	DisplayName string
	// Fingerprint changes when a token that is held must not be sent any more: it covers issuer,
	// client id and every endpoint that was configured.
	Fingerprint string
	// CallbackPath is the path of the redirect URI.
	CallbackPath string
	// SecretVersion is the resourceVersion of the client's Secret.
	SecretVersion string
}

// Connection resolves the provider and client of a connection. The error is an *Error.
func (r *Resolver) Connection(ctx context.Context, conn *v1alpha1.OAuthConnection) (*Resolved, error) {
	return nil, &Error{Reason: v1alpha1.ReasonProviderInvalid, Message: "not written"}
}

// Provider resolves an *OAuthProvider or *ClusterOAuthProvider by itself, with its client where it
// has one. The error is an *Error.
func (r *Resolver) Provider(ctx context.Context, obj client.Object) (*Resolved, error) {
	return nil, &Error{Reason: v1alpha1.ReasonProviderInvalid, Message: "not written"}
}
