// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
)

// front is the public address: it hands each request to the next operator in turn, so that no two
// steps of a consent meet the same process if there are several. It keeps the pages.
type front struct {
	*httptest.Server
	evidence *evidence

	mu        sync.Mutex
	operators []*url.URL
	turn      int
}

func newFront(e *evidence) *front {
	f := &front{evidence: e}
	f.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        f.forward,
		ModifyResponse: f.keep,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "no operator answers: "+err.Error(), http.StatusBadGateway)
		},
	})
	return f
}

func (f *front) add(operator string) {
	address, err := url.Parse(operator)
	if err != nil {
		panic(err) // the address of a process that answered
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operators = append(f.operators, address)
}

func (f *front) remove(operator string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operators = slices.DeleteFunc(f.operators, func(u *url.URL) bool { return u.String() == operator })
}

func (f *front) next() *url.URL {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.operators) == 0 {
		return &url.URL{Scheme: "http", Host: "no-operator.invalid"}
	}
	f.turn++
	return f.operators[f.turn%len(f.operators)]
}

// requests is how many came, by anybody.
func (f *front) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.turn
}

func (f *front) forward(r *httputil.ProxyRequest) {
	f.evidence.carried(r.In.URL.Query())
	r.SetURL(f.next())
	r.Out.Host = r.In.Host
	r.Out.Header.Set("X-Forwarded-For", visitor())
}

// visitor is an address that nobody had before.
func visitor() string {
	n := rand.Uint32()
	return fmt.Sprintf("100.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n))
}

func (f *front) keep(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.evidence.page(r.Header, body)
	return nil
}
