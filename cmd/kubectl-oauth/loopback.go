// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Limits of the loopback listener. A browser sends one small request; it waits the longest for the
// page that follows a response of the provider.
const (
	loopbackReadTimeout  = 5 * time.Second
	loopbackWriteTimeout = outcomePatience + 10*time.Second
	loopbackDrain        = 3 * time.Second
	// loopbackHeaders leaves room for an authorization code and for the cookies of other programs:
	// a browser tells 127.0.0.1's ports not apart there.
	loopbackHeaders = 32 << 10
)

// listenLoopback opens a port of the loopback interface, which only programs on this machine reach
// (RFC 8252 section 7.3): port, or any that is free where port is 0.
func listenLoopback(ctx context.Context, port int) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d of 127.0.0.1 is taken by another program: choose another --port, or leave it out for any that is free", port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("port %d of 127.0.0.1 is only for the administrator of this machine: choose a --port above 1023, or leave it out for any that is free", port)
	}
	listener, err6 := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	if err6 != nil {
		return nil, fmt.Errorf("neither 127.0.0.1 nor [::1] can be listened on, which a browser on this machine needs: %w", errors.Join(err, err6))
	}
	return listener, nil
}

// loopbackOf is what the operator has to know of a listener.
func loopbackOf(l net.Listener) *v1alpha1.Loopback {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil // listenLoopback gives no others
	}
	return &v1alpha1.Loopback{Address: address.IP.String(), Port: int32(address.Port)} //nolint:gosec // a port
}

// loopback answers the requester's own browser, at one path. Everybody else's requests, which any page
// in the browser and any program on the machine can send, get a 404 and change nothing.
type loopback struct {
	// host is the only Host header that is answered. A name that was rebound to 127.0.0.1 is another.
	host string
	path string
	// arrive looks at the query of a request for path. False: it is a stray one.
	arrive func(query url.Values) (localPage, bool)
}

// ServeHTTP implements http.Handler. It is no ServeMux, which would redirect strays.
func (l *loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page, ok := localPage{}, false
	if r.Method == http.MethodGet && r.Host == l.host && r.URL.EscapedPath() == l.path {
		if query, err := url.ParseQuery(r.URL.RawQuery); err == nil {
			page, ok = l.arrive(query)
		}
	}
	if !ok {
		page = strayPage
	}
	page.write(w)
}

// serveLoopback answers at a listener until the function that it returns is called. That waits a
// moment for pages that are on their way.
func serveLoopback(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: loopbackReadTimeout,
		ReadTimeout:       loopbackReadTimeout,
		WriteTimeout:      loopbackWriteTimeout,
		MaxHeaderBytes:    loopbackHeaders,
		ErrorLog:          log.New(io.Discard, "", 0), // strays are nobody's business
	}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.Serve(listener) }() // ends with stop
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), loopbackDrain)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	}
}

// once returns the only value of a parameter. A parameter that comes twice is none (RFC 6749 section 3.1).
func once(query url.Values, name string) (string, bool) {
	values := query[name]
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}
