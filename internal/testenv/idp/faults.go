// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// ProviderText is in every text that a fault makes up: a provider's words, which must not turn up
// in status, events, logs or pages.
const ProviderText = "text-from-the-provider-that-stays-there"

// Status answers with a status and a plain text.
func Status(code int, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, body, code) }
}

// HTML answers as a proxy in the way does: a page.
func HTML(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!doctype html><title>Gateway</title><h1>"+ProviderText+"</h1>")
	}
}

// OAuthError answers with an error of RFC 6749 section 5.2.
func OAuthError(code string, status int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		writeJSON(w, status, map[string]any{"error": code, "error_description": ProviderText})
	}
}

// ErrorIn200 answers 200 with an error in the body, as some providers do.
func ErrorIn200(code string) Fault { return OAuthError(code, http.StatusOK) }

// HugeBody answers 200 with size bytes of JSON.
func HugeBody(size int64) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		writePadded(w, size)
	}
}

// GzipBomb answers 200 with JSON that decompresses to size bytes.
func GzipBomb(size int64) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		compressed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		writePadded(compressed, size)
		_ = compressed.Close()
	}
}

// writePadded ends early when the client has had enough.
func writePadded(w io.Writer, size int64) {
	const head, tail = `{"access_token":"x","token_type":"Bearer","padding":"`, `"}`
	if _, err := io.WriteString(w, head); err != nil {
		return
	}
	block := bytes.Repeat([]byte{'x'}, 32<<10)
	for left := size - int64(len(head)+len(tail)); left > 0; left -= int64(len(block)) {
		if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, tail)
}

// Hang does not answer until the channel is closed, the client gives up or the provider is closed.
// The request is not processed before; once the channel is closed it is.
func Hang(until <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if wait(r, until) {
			next.ServeHTTP(w, r)
		}
	}
}

// HangAfterProcessing processes the request (a refresh token is spent), then answers when the
// channel is closed.
func HangAfterProcessing(until <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := newBuffer()
		next.ServeHTTP(answer, r)
		if wait(r, until) {
			answer.copyTo(w)
		}
	}
}

func wait(r *http.Request, until <-chan struct{}) bool {
	select {
	case <-until:
		return true
	case <-r.Context().Done():
		return false
	}
}

// Drop cuts the connection without processing the request.
func Drop() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}

// DropAfterProcessing processes the request (a refresh token is spent), then cuts the connection.
func DropAfterProcessing() Fault {
	return func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(newBuffer(), r)
		panic(http.ErrAbortHandler)
	}
}

// Throttle answers 429 with Retry-After in whole seconds; zero: without the header.
func Throttle(retryAfter time.Duration) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		}
		http.Error(w, ProviderText, http.StatusTooManyRequests)
	}
}

// NoExpiry leaves expires_in out of the provider's answer.
func NoExpiry() Fault { return Rewrite(func(body map[string]any) { delete(body, "expires_in") }) }

// NoRefreshToken leaves refresh_token out of the provider's answer.
func NoRefreshToken() Fault {
	return Rewrite(func(body map[string]any) { delete(body, "refresh_token") })
}

// OtherScopes replaces scope in the provider's answer.
func OtherScopes(scope string) Fault {
	return Rewrite(func(body map[string]any) { body["scope"] = scope })
}

// Redirect answers with a redirect to location.
func Redirect(code int, location string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, location, code)
	}
}

// Rewrite edits the parsed JSON of the provider's answer. Errors and what is no object stay as
// they are.
func Rewrite(edit func(body map[string]any)) Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := newBuffer()
		next.ServeHTTP(answer, r)
		var body map[string]any
		if answer.status != http.StatusOK || json.Unmarshal(answer.body.Bytes(), &body) != nil {
			answer.copyTo(w)
			return
		}
		edit(body)
		maps.Copy(w.Header(), answer.header)
		writeJSON(w, http.StatusOK, body)
	}
}
