// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// gate stands between one operator and the API server, and can refuse its writes of Secrets.
type gate struct {
	config *rest.Config // the operator's, through the gate
	server *httptest.Server
	shut   atomic.Bool
}

// openGate puts a gate before the API server of this identity.
func openGate(identity *rest.Config) (*gate, error) {
	target, _, err := rest.DefaultServerUrlFor(identity)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(identity))
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, FlushInterval: -1, // watches
		ErrorLog: log.New(io.Discard, "", 0), // of clients that were killed
	}
	g := &gate{config: rest.CopyConfig(identity)}
	g.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.shut.Load() && r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/secrets") {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	g.config.Host = g.server.URL
	g.config.TLSClientConfig = rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw}),
	}
	return g, nil
}

func (g *gate) close() error {
	g.server.CloseClientConnections()
	g.server.Close()
	return nil
}
