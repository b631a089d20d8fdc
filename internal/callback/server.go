// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package callback serves the pages on which a person connects an account. Every replica runs it;
// nothing is held in memory between two requests, so each may reach another replica.
//
//	GET  /connect/{namespace}/{name}?ticket=…   consent page           start.go
//	POST /connect/{namespace}/{name}            to the provider        start.go
//	GET  /callback/ns/{namespace}/{name}        back from the provider callback.go
//	GET  /callback/provider/{namespace}/{name}  the same, for the client of an OAuthProvider
//	GET  /callback/cluster/{name}               the same, for the client of a ClusterOAuthProvider
//
// Starting comes in ways that prove who asks (a ticket in Link mode); each ends in begin, which
// makes the flow. The callback half knows the flow alone.
package callback

import (
	"net/http"
	"net/netip"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// Server is the callback server.
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
	// PublicURL is the scheme and host under which browsers reach the server.
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

// maxBody is far above what a form of ours sends.
const maxBody = 16 << 10

// Handler serves all routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /connect/{namespace}/{name}", s.consent)
	mux.Handle("POST /connect/{namespace}/{name}", s.sameOrigin(http.HandlerFunc(s.start)))
	for _, path := range []string{"/callback/ns/{namespace}/{name}", "/callback/provider/{namespace}/{name}", "/callback/cluster/{name}"} {
		mux.HandleFunc("GET "+path, s.callback)
		mux.HandleFunc(path, s.refuse(notAllowed))
	}
	mux.HandleFunc("/connect/{namespace}/{name}", s.refuse(notAllowed))
	mux.HandleFunc("/", s.refuse(notFound))
	return secure(s.limit(http.MaxBytesHandler(mux, maxBody)))
}

// sameOrigin refuses a form that another site sends.
func (s *Server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(s.refuse(notAllowed))
	return protection.Handler(next)
}

func (s *Server) refuse(p problem) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { showProblem(w, p, place{}) }
}
