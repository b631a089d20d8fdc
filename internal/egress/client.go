// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress makes the one HTTP client the program talks to the outside with.
//
// Tenants choose the addresses it is sent to, so it trusts none of them:
//
//	URL ──► scheme, userinfo, literal address ──► resolve ──► address dialled ──► TLS ──► 64 KiB of answer
//	        (CheckURL, every request)                         (at connect time)
//
// The address is checked after resolution, on the socket that is about to connect, so a name that
// resolves differently the second time gains nothing. Redirects are handed back, never followed, and
// proxies named by the environment are ignored: both would move the request past the check.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Limits of one request and of the connections kept between requests.
const (
	// overallTimeout ends a request with its body. The longest wait of the program is a token
	// request; callers with less patience (discovery) bring a context.
	overallTimeout = 30 * time.Second
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	headerTimeout  = 30 * time.Second

	// maxAnswer bounds an answer's body, in bytes after decompression. Token answers and discovery
	// documents are a few KiB.
	maxAnswer = 64 << 10
	// maxHeader bounds an answer's header, in bytes.
	maxHeader = 64 << 10

	// Many connections share a few providers, so idle connections are kept per host for all workers.
	idlePerHost = 64
	idleTotal   = 512
	// certifiedIdle is for clients with a certificate, of which there are many.
	certifiedIdle = 4
	idleTimeout   = 90 * time.Second

	// HTTP/2 receives ahead of the reader. These windows (bytes) bound what an answer that nobody
	// reads to its end can occupy; the library's own are 4 MiB and 1 GiB.
	streamWindow     = 2 * maxAnswer
	connectionWindow = 1 << 20
	// A multiplexed connection that died silently would hang every request to its host.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
)

// Policy is what the platform team decides about outbound requests.
type Policy struct {
	// AllowCIDRs are reachable although the deny table names them. Allowing a translation prefix
	// (64:ff9b::/96) allows everything behind the translator.
	AllowCIDRs []netip.Prefix
	// DenyCIDRs are out of reach whatever else is said: addresses of nodes and pods that are public.
	DenyCIDRs []netip.Prefix
	// AllowHTTP permits http:// addresses: development only.
	AllowHTTP bool
	// RootCAs verify servers; nil means the system's.
	RootCAs *x509.CertPool
}

// NewClient returns the client for the policy: safe for concurrent use, to be made once and shared, as
// it pools connections. Its errors satisfy errors.As for *BlockedError where the policy refused, and
// reading a longer body than 64 KiB fails with ErrTooLarge. A redirect is returned as the answer it is.
func NewClient(p Policy) *http.Client { return client(p, transport(p)) }

// NewClientWith is NewClient for servers that know a client by its certificate (RFC 8705). It shows the
// certificate to every server that asks for one, whatever authorities that server names: it is one of
// few clients, made for one provider.
func NewClientWith(p Policy, certificate tls.Certificate) *http.Client {
	t := transport(p)
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &certificate, nil
	}
	t.MaxIdleConnsPerHost, t.MaxIdleConns = certifiedIdle, certifiedIdle
	return client(p, t)
}

func client(p Policy, t *http.Transport) *http.Client {
	return &http.Client{
		Transport: &guard{policy: p, next: t},
		Timeout:   overallTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

func transport(p Policy) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            p.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.RootCAs},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           idleTotal,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connectionWindow,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
		},
	}
}

// dial connects to an address of the host that the policy permits. Of several addresses the refused
// ones are skipped like unreachable ones.
func (p Policy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout: dialTimeout,
		Control: func(_, dialled string, _ syscall.RawConn) error {
			return p.checkDialled(host, dialled)
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	// Without what the dialer wraps around it: that names the address behind the host.
	var blocked *BlockedError
	if errors.As(err, &blocked) {
		return nil, blocked
	}
	return conn, err
}

// guard applies the static rules before a connection of the pool is used, and the cap to what comes back.
type guard struct {
	policy Policy
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := g.policy.checkURL(request.URL); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &cappedBody{body: response.Body, left: maxAnswer}
	return response, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the pool.
func (g *guard) CloseIdleConnections() {
	if pool, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		pool.CloseIdleConnections()
	}
}
