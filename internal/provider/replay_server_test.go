// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// network leads every host to one server.
func (s *stage) network() *http.Client {
	server := httptest.NewTLSServer(http.HandlerFunc(s.serve))
	s.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return &http.Client{Transport: transport}
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	address := "https://" + r.Host + r.URL.RequestURI()
	answer := response{}
	switch {
	case strings.HasSuffix(r.URL.Path, openID):
		s.discovered(w)
		return
	case s.UserInfo != nil && address == s.UserInfo.Address && (s.next == nil || s.next.Request == nil || s.next.Request.Address != address):
		answer = s.UserInfo.Response
	case s.next == nil || s.asked:
		s.Errorf("%s: a request that the file does not have: %s %s", s.what, r.Method, address)
		answer.Status = http.StatusTeapot
	default:
		s.asked = true
		s.compare(r, address)
		answer = s.next.Response
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, answer.Body)
}

// discovered answers for presets with an issuer, by the addresses that the file has.
func (s *stage) discovered(w io.Writer) {
	doc := map[string]string{"issuer": s.issuer, "token_endpoint": s.Exchange.Request.Address}
	if s.Authorization != nil {
		doc["authorization_endpoint"] = s.Authorization.Address
	}
	if s.UserInfo != nil {
		doc["userinfo_endpoint"] = s.UserInfo.Address
	}
	if s.Revoke != nil && s.Revoke.Request != nil {
		doc["revocation_endpoint"] = s.Revoke.Request.Address
	}
	_ = json.NewEncoder(w).Encode(doc)
}

// compare holds a request to what the file says that the provider gets.
func (s *stage) compare(r *http.Request, address string) {
	expected := s.next.Request
	if expected == nil {
		return
	}
	method := expected.Method
	if method == "" {
		method = http.MethodPost
	}
	if r.Method != method || address != expected.Address {
		s.Errorf("%s.request: got %s %s, want %s %s", s.what, r.Method, address, method, expected.Address)
	}
	for name, value := range expected.Headers {
		got := r.Header.Get(name)
		if name == "Content-Type" {
			got, _, _ = strings.Cut(got, ";")
		}
		if got != value {
			s.Errorf("%s.request.headers.%s: got %q, want %q", s.what, name, got, value)
		}
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case expected.JSON != nil:
		var got map[string]string
		if err := json.Unmarshal(body, &got); err != nil {
			s.Errorf("%s.request.json: the body is no JSON object of texts", s.what)
		}
		s.parameters("json", expected.JSON, got)
	case expected.Form != nil:
		values, err := url.ParseQuery(string(body))
		if err != nil {
			s.Errorf("%s.request.form: the body is no form", s.what)
		}
		s.parameters("form", expected.Form, flat(values))
	}
}

func flat(values url.Values) map[string]string {
	m := map[string]string{}
	for name := range values {
		m[name] = strings.Join(values[name], " and ")
	}
	return m
}

func (s *stage) parameters(where string, expected, got map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if got[name] != expected[name] {
			s.Errorf("%s.request.%s.%s: got %q, want %q", s.what, where, name, got[name], expected[name])
		}
	}
}

// expect sets the next scene; answered ends it.
func (s *stage) expect(what string, next *scene) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.what, s.asked = next, what, false
}

func (s *stage) answered(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.Errorf("%s: %v", s.what, err)
	}
	if !s.asked {
		s.Errorf("%s: no request was made", s.what)
	}
	s.next = nil
	return err == nil
}
