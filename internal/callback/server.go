// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package callback serves the pages on which a person connects an account.
package callback

import (
	"net/http"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// Server is the callback server. Every replica runs one; nothing is held in memory between requests.
type Server struct {
	// Connections reads OAuthConnections, from the cache.
	Connections client.Reader
	// Client reads and writes OAuthAuthorizations, live.
	Client   client.Client
	Resolver *provider.Resolver
	Store    *tokenstore.Store
	Keyring  *seal.Keyring
	Clock    clock.PassiveClock
	Events   events.EventRecorder
	Metrics  *Metrics
	// PublicURL is the scheme, host and optional path under which browsers reach the server.
	PublicURL string
	Limits    Limits
}

// Limits bound what unauthenticated visitors can use.
type Limits struct {
	// PerMinute and Burst are requests of one client address. Zero: 60 and 30.
	PerMinute, Burst int
	// TrustedProxies may say the client's address by X-Forwarded-For.
	TrustedProxies []netip.Prefix
}

// Metrics are the server's counters.
type Metrics struct {
	authorizations *prometheus.CounterVec
}

// NewMetrics registers the counters.
func NewMetrics(r prometheus.Registerer) *Metrics { return &Metrics{} }

// Handler serves all routes.
func (s *Server) Handler() http.Handler { return http.NotFoundHandler() }
