// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	userAgent = "oauth-operator"
	// maxAnswer bounds an answer where the HTTP client does not.
	maxAnswer = 1 << 20
	// maxRetryAfter bounds what a provider may ask for.
	maxRetryAfter = time.Hour
)

// errTooLarge means that an answer was cut.
var errTooLarge = errors.New("the answer is too large")

// errUnguarded refuses to fall back on http.DefaultTransport, which nobody guards.
var errUnguarded = errors.New("the client has no transport")

// recorder is the RoundTripper of one request. It keeps what the callers of http.Client cannot see
// or x/oauth2 does not tell: whether the request left, and the whole answer. What leaves is in the
// provider's wording.
type recorder struct {
	next    http.RoundTripper
	wording wording

	sent   atomic.Bool // set by the transport's goroutines
	status int         // 0 while no answer came
	header http.Header
	body   []byte
	err    error // of the round trip, or of reading the body
}

// RoundTrip sends the request and reads the answer to its end.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.next == nil {
		return nil, errUnguarded
	}
	// From the moment it has a connection a request counts as sent: later hooks race with a timeout.
	// net/http takes another connection only where it wrote nothing on the one before.
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { r.sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { r.sent.Store(true) },
	}
	req = req.Clone(httptrace.WithClientTrace(req.Context(), trace))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	if r.err = r.wording.translate(req); r.err != nil {
		return nil, r.err
	}

	resp, err := r.next.RoundTrip(req)
	if err != nil {
		r.err = err
		return nil, err
	}
	r.sent.Store(true)
	r.status, r.header = resp.StatusCode, resp.Header
	r.body, r.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close()
	if len(r.body) > maxAnswer {
		r.err = errTooLarge
	}
	resp.Body = io.NopCloser(bytes.NewReader(r.body))
	return resp, nil
}

func (r *recorder) success() bool { return r.status >= 200 && r.status <= 299 }

// parsed is the body, nil where it is neither a JSON object nor a form. A form that was cut is neither:
// half a token looks like a token.
func (r *recorder) parsed() map[string]any {
	if r.err != nil && !isObject(r.body) {
		return nil
	}
	return parseBody(r.body)
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3). A date counts from the answer's own Date,
// so that the two clocks need not agree, or from now where there is none.
func (r *recorder) retryAfter(now time.Time) time.Duration {
	value := r.header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(r.header.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
