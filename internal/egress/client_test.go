// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// server is a provider on loopback that counts what reaches it.
type server struct {
	*httptest.Server
	accepted, served atomic.Int64
}

func newServer(t *testing.T, configure func(*httptest.Server), handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		handler(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.accepted.Add(1)
		}
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if configure != nil {
		configure(s.Server)
	}
	if s.URL == "" {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func plain(s *httptest.Server) { s.Start() }
func http2(s *httptest.Server) { s.EnableHTTP2 = true }

func (s *server) port() string { return s.URL[strings.LastIndex(s.URL, ":")+1:] }

// policy trusts the server's certificate and permits the ranges.
func (s *server) policy(allow ...string) Policy {
	p := Policy{RootCAs: x509.NewCertPool()}
	if s.Certificate() != nil {
		p.RootCAs.AddCert(s.Certificate())
	}
	for _, prefix := range allow {
		p.AllowCIDRs = append(p.AllowCIDRs, netip.MustParsePrefix(prefix))
	}
	return p
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }

func get(t *testing.T, client *http.Client, url string) (*http.Response, []byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

func TestNoNotationOfLoopbackIsDialled(t *testing.T) {
	s := newServer(t, plain, ok)
	client := NewClient(Policy{AllowHTTP: true})
	for _, host := range []string{
		"127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "0.0.0.0", "[::]",
		"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[64:ff9b::7f00:1]", "[::1%25lo]",
	} {
		if _, _, err := get(t, client, "http://"+host+":"+s.port()+"/"); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if n := s.accepted.Load(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

func TestANameThatResolvesToLoopbackIsBlocked(t *testing.T) {
	s := newServer(t, nil, ok)
	_, _, err := get(t, NewClient(s.policy()), "https://localhost:"+s.port()+"/")
	var blocked *BlockedError
	if !errors.As(err, &blocked) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if blocked.Host != "localhost" || !blocked.Blocked() {
		t.Errorf("got %+v", blocked)
	}
}

func TestAnAddressIsCheckedEachTimeItIsDialled(t *testing.T) {
	s := newServer(t, nil, ok)
	resolveTo(t, "127.0.0.1", "127.0.0.66")
	client := NewClient(s.policy("127.0.0.1/32"))
	if _, _, err := get(t, client, "https://example.com:"+s.port()+"/"); err != nil {
		t.Fatalf("first answer: %v", err)
	}
	client.CloseIdleConnections()
	_, _, err := get(t, client, "https://example.com:"+s.port()+"/")
	var blocked *BlockedError
	if !errors.As(err, &blocked) || blocked.Host != "example.com" {
		t.Errorf("rebound answer: got %v, want a refusal", err)
	}
	if strings.Contains(err.Error(), "127.0.0.66") {
		t.Errorf("the error tells what the name resolved to: %v", err)
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestRedirectsAreReturnedAndNotFollowed(t *testing.T) {
	target := newServer(t, nil, ok)
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := newServer(t, nil, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, code) })
		p := s.policy("127.0.0.0/8")
		response, err := NewClient(p).Post(s.URL, "application/x-www-form-urlencoded", strings.NewReader("code=sentinel"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != code {
			t.Errorf("got %d, want %d", response.StatusCode, code)
		}
	}
	if n := target.accepted.Load(); n != 0 {
		t.Errorf("the redirects' target got %d connections", n)
	}
}

func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	proxy := newServer(t, plain, ok)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	resolveTo(t, "127.0.0.1")
	s := newServer(t, nil, ok)
	// Not a loopback name: Go's own rule exempts those from proxies.
	if _, _, err := get(t, NewClient(s.policy("127.0.0.1/32")), "https://example.com:"+s.port()+"/"); err != nil {
		t.Fatal(err)
	}
	if n := proxy.accepted.Load(); n != 0 {
		t.Errorf("the proxy got %d connections", n)
	}
}

func TestPlainHTTPIsRefusedBeforeAnythingIsSent(t *testing.T) {
	s := newServer(t, plain, ok)
	_, _, err := get(t, NewClient(s.policy("127.0.0.0/8")), s.URL)
	var blocked *BlockedError
	if !errors.As(err, &blocked) || s.accepted.Load() != 0 {
		t.Errorf("got %v and %d connections", err, s.accepted.Load())
	}
	allowed := s.policy("127.0.0.0/8")
	allowed.AllowHTTP = true
	if _, _, err := get(t, NewClient(allowed), s.URL); err != nil {
		t.Errorf("although it is allowed: %v", err)
	}
}

func TestAnUnknownCertificateIsRefused(t *testing.T) {
	s := newServer(t, nil, ok)
	p := s.policy("127.0.0.0/8")
	p.RootCAs = x509.NewCertPool()
	if _, _, err := get(t, NewClient(p), s.URL); err == nil {
		t.Error("the certificate was accepted")
	}
}

func TestAnswersUpTo64KiBArriveWholeAndLongerOnesFail(t *testing.T) {
	for _, protocol := range []func(*httptest.Server){nil, http2} {
		s := newServer(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			var n int
			_, _ = fmt.Sscan(r.URL.Query().Get("n"), &n)
			_, _ = w.Write(bytes.Repeat([]byte("x"), n))
		})
		client := NewClient(s.policy("127.0.0.0/8"))
		for n, want := range map[int]error{0: nil, 1: nil, maxAnswer - 1: nil, maxAnswer: nil, maxAnswer + 1: ErrTooLarge, 1 << 22: ErrTooLarge} {
			_, body, err := get(t, client, fmt.Sprintf("%s/?n=%d", s.URL, n))
			if !errors.Is(err, want) {
				t.Errorf("%d bytes: got %v, want %v", n, err, want)
			}
			if len(body) != min(n, maxAnswer) {
				t.Errorf("%d bytes: got %d", n, len(body))
			}
		}
	}
}

// One gibibyte of zeros, as gzip members of one mebibyte: about one mebibyte on the wire.
func bomb(t *testing.T) []byte {
	t.Helper()
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, _ = w.Write(make([]byte, 1<<20))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(member.Bytes(), 1<<10)
}

func TestAGibibyteOfGzipCostsUnderAMebibyte(t *testing.T) {
	packed := bomb(t)
	for name, protocol := range map[string]func(*httptest.Server){"HTTP/1.1": nil, "HTTP/2.0": http2} {
		s := newServer(t, protocol, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/warm" {
				ok(w, r)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		})
		client := NewClient(s.policy("127.0.0.0/8"))
		if response, _, err := get(t, client, s.URL+"/warm"); err != nil || response.Proto != name {
			t.Fatalf("%s: %v %v", name, response, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := get(t, client, s.URL)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
		// All that was allocated meanwhile, by the server too, freed or not.
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
			t.Errorf("%s: %d KiB", name, spent>>10)
		}
	}
}

func TestConnectionsAreKeptForAllWorkers(t *testing.T) {
	var together sync.WaitGroup
	s := newServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait()
		ok(w, r)
	})
	client := NewClient(s.policy("127.0.0.0/8"))
	for range 3 {
		together.Add(idlePerHost)
		var workers sync.WaitGroup
		for range idlePerHost {
			workers.Go(func() {
				if _, _, err := get(t, client, s.URL); err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
	}
	if n := s.accepted.Load(); n > idlePerHost+2 {
		t.Errorf("%d connections for %d requests of %d workers", n, s.served.Load(), idlePerHost)
	}
}

func TestAClientWithACertificateIsGuardedAsWell(t *testing.T) {
	for _, address := range []string{"https://127.0.0.1/", "http://idp.example/", "https://169.254.169.254/"} {
		_, _, err := get(t, NewClientWith(Policy{}, tls.Certificate{}), address)
		var blocked *BlockedError
		if !errors.As(err, &blocked) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
