// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
	page     = "<html>" + sentinel + "</html>"
)

func TestAnswersAreClassifiedAsTheDesignSays(t *testing.T) {
	refuse := func(code string) string {
		return fmt.Sprintf(`{"error":%q,"error_description":%q,"error_uri":%q}`, code, sentinel, sentinel)
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    oauth.Kind
		code    string
	}{
		{"invalid_grant, 400", answer(400, jsonType, refuse("invalid_grant")), oauth.Reauthorize, "invalid_grant"},
		{"invalid_grant, 401", answer(401, jsonType, refuse("invalid_grant")), oauth.Reauthorize, "invalid_grant"},
		{"invalid_grant, 403 as Auth0 answers", answer(403, jsonType, refuse("invalid_grant")), oauth.Reauthorize, "invalid_grant"},
		{"invalid_grant as a form", answer(400, formType, "error=invalid_grant"), oauth.Reauthorize, "invalid_grant"},
		{"interaction_required", answer(400, jsonType, refuse("interaction_required")), oauth.Reauthorize, "interaction_required"},
		{"GitHub's bad_refresh_token with 200", answer(200, jsonType, refuse("bad_refresh_token")), oauth.Reauthorize, "bad_refresh_token"},
		{"GitHub's bad_verification_code, form with 200", answer(200, formType, "error=bad_verification_code&error_description=x"), oauth.Reauthorize, "bad_verification_code"},
		{"invalid_client", answer(401, jsonType, refuse("invalid_client")), oauth.ClientRejected, "invalid_client"},
		{"unauthorized_client", answer(400, jsonType, refuse("unauthorized_client")), oauth.ClientRejected, "unauthorized_client"},
		{"GitHub's incorrect_client_credentials with 200", answer(200, jsonType, refuse("incorrect_client_credentials")), oauth.ClientRejected, "incorrect_client_credentials"},
		{"invalid_scope", answer(400, jsonType, refuse("invalid_scope")), oauth.Misconfigured, "invalid_scope"},
		{"invalid_request", answer(400, jsonType, refuse("invalid_request")), oauth.Misconfigured, "invalid_request"},
		{"unsupported_grant_type", answer(400, jsonType, refuse("unsupported_grant_type")), oauth.Misconfigured, "unsupported_grant_type"},
		{"temporarily_unavailable", answer(400, jsonType, refuse("temporarily_unavailable")), oauth.Transient, "temporarily_unavailable"},
		{"server_error", answer(400, jsonType, refuse("server_error")), oauth.Transient, "server_error"},
		{"500 without a body", answer(500, jsonType, ""), oauth.Transient, ""},
		{"502 with a page", answer(502, "text/html", page), oauth.Transient, ""},
		{"503 never ends a grant", answer(503, jsonType, refuse("invalid_grant")), oauth.Transient, "invalid_grant"},
		{"408", answer(408, "text/html", page), oauth.Transient, ""},
		{"429 without a code", answer(429, "text/html", page), oauth.Throttled, ""},
		{"429 never ends a grant", answer(429, jsonType, refuse("invalid_grant")), oauth.Throttled, "invalid_grant"},
		{"slow_down", answer(400, jsonType, refuse("slow_down")), oauth.Throttled, "slow_down"},
		{"403 without a code", answer(403, "text/html", page), oauth.Throttled, ""},
		{"403 with an unknown code", answer(403, jsonType, refuse("rate_limit_"+sentinel)), oauth.Throttled, ""},
		{"400 with a page", answer(400, "text/html", page), oauth.Unexpected, ""},
		{"400 with an unknown code", answer(400, jsonType, refuse(sentinel)), oauth.Unexpected, ""},
		{"404", answer(404, jsonType, `{"message":"`+sentinel+`"}`), oauth.Unexpected, ""},
		{"200 with an unknown code", answer(200, jsonType, `{"ok":false,"error":"`+sentinel+`"}`), oauth.Unexpected, ""},
		{"200 with an object as error", answer(200, jsonType, `{"error":{"code":1}}`), oauth.Unexpected, ""},
		{"302 elsewhere", answer(302, "text/html", page, "Location", "https://evil.example/"), oauth.Unexpected, ""},
		{"307 elsewhere", answer(307, "text/html", page, "Location", "https://evil.example/"), oauth.Unexpected, ""},
		{"200 with a page", answer(200, "text/html", page), oauth.Ambiguous, ""},
		{"200 with nothing", answer(200, jsonType, ""), oauth.Ambiguous, ""},
		{"200 with half an object", answer(200, jsonType, `{"access_token":"`+sentinel), oauth.Ambiguous, ""},
		{"200 with a list", answer(200, jsonType, `["`+sentinel+`"]`), oauth.Ambiguous, ""},
		{"200 without a token", answer(200, jsonType, `{"token_type":"Bearer"}`), oauth.Ambiguous, ""},
		{"200 with an empty token", answer(200, jsonType, `{"access_token":""}`), oauth.Ambiguous, ""},
		{"204", answer(204, jsonType, ""), oauth.Ambiguous, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := server(t, test.handler).Refresh(t.Context(), held())
			e := wantKind(t, err, test.kind)
			if e.Code != test.code {
				t.Errorf("code is %q, want %q", e.Code, test.code)
			}
			if e.Status == 0 || e.Cause == "" {
				t.Errorf("status or cause is missing: %+v", e)
			}
		})
	}
}

type blocked struct{}

func (blocked) Error() string { return sentinel }
func (blocked) Blocked() bool { return true }

func TestRequestsWithoutAnswerAreTold(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	untrusted.Config.ErrorLog = nil
	cut := server(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	fails := func(err error) *http.Client {
		return clientOf(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	hangs := clientOf(func(r *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
		return nil, context.DeadlineExceeded
	})
	retries := clientOf(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		trace.GetConn("")
		return nil, &net.OpError{Op: "dial", Err: errors.New(sentinel)}
	})
	tests := []struct {
		name   string
		client *oauth.Client
		kind   oauth.Kind
	}{
		{"connection refused", registration(closed.URL, &http.Client{Transport: http.DefaultTransport}), oauth.Unreachable},
		{"untrusted certificate", registration(untrusted.URL, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}), oauth.Unreachable},
		{"no such host", registration("http://idp.example", fails(&net.DNSError{Name: sentinel})), oauth.Unreachable},
		{"a dead idle connection, then none", registration("http://idp.example", retries), oauth.Unreachable},
		{"cut after sending", cut, oauth.Ambiguous},
		{"no answer in time", registration("http://idp.example", hangs), oauth.Ambiguous},
		{"blocked by the guard", registration("http://idp.example", fails(blocked{})), oauth.Blocked},
		{"not an address", registration("http://[::1", &http.Client{}), oauth.Misconfigured},
		{"no guard", registration(cut.Endpoints.Token, &http.Client{}), oauth.Misconfigured},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.client.Refresh(t.Context(), held())
			if e := wantKind(t, err, test.kind); e.Status != 0 {
				t.Errorf("status is %d", e.Status)
			}
		})
	}
}

func TestATooLargeAnswerIsAmbiguousAndItsStatusStillCounts(t *testing.T) {
	for status, kind := range map[int]oauth.Kind{200: oauth.Ambiguous, 500: oauth.Transient, 429: oauth.Throttled} {
		huge := clientOf(func(*http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(`{"access_token":"`), readerFunc(func([]byte) (int, error) {
				return 0, errors.New("too large " + sentinel)
			}))
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body)}, nil
		})
		_, err := registration("http://idp.example", huge).Refresh(t.Context(), held())
		wantKind(t, err, kind)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestRetryAfterIsReadAndBounded(t *testing.T) {
	tests := map[string]struct {
		header []string
		want   time.Duration
	}{
		"seconds":              {[]string{"Retry-After", "120"}, 2 * time.Minute},
		"at most an hour":      {[]string{"Retry-After", "86400"}, time.Hour},
		"absurd":               {[]string{"Retry-After", "99999999999999999999"}, 0},
		"negative":             {[]string{"Retry-After", "-5"}, 0},
		"not a number":         {[]string{"Retry-After", sentinel}, 0},
		"missing":              {nil, 0},
		"a date":               {[]string{"Retry-After", now().Add(time.Minute).Format(http.TimeFormat)}, time.Minute},
		"a date in the past":   {[]string{"Retry-After", now().Add(-time.Minute).Format(http.TimeFormat)}, 0},
		"a date far away":      {[]string{"Retry-After", now().Add(time.Hour * 99).Format(http.TimeFormat)}, time.Hour},
		"a date of its clock":  {[]string{"Retry-After", "Thu, 01 Jan 1970 00:02:00 GMT", "Date", "Thu, 01 Jan 1970 00:01:00 GMT"}, time.Minute},
		"a date, no such Date": {[]string{"Retry-After", now().Add(time.Minute).Format(http.TimeFormat), "Date", sentinel}, time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := server(t, answer(429, "text/html", page, test.header...)).Refresh(t.Context(), held())
			if e := wantKind(t, err, oauth.Throttled); e.RetryAfter != test.want {
				t.Errorf("RetryAfter is %v, want %v", e.RetryAfter, test.want)
			}
		})
	}
}

func TestKindsKeepTheirNamesAndAnUnknownNameIsReadable(t *testing.T) {
	for kind := oauth.Unreachable; kind <= oauth.Blocked; kind++ {
		name, _ := kind.MarshalText()
		var back oauth.Kind
		if err := back.UnmarshalText(name); err != nil || back != kind {
			t.Errorf("%s came back as %s: %v", name, back, err)
		}
	}
	kind := oauth.Blocked
	if err := kind.UnmarshalText([]byte("FromTheFuture")); err != nil || kind != 0 || oauth.Kind(99).String() != "Unknown" {
		t.Errorf("got %s: %v", kind, err)
	}
}
