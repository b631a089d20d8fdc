// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"net/http"
	"time"
)

// Fault answers a request in place of the provider; next is the provider's own answer.
type Fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Fault queues f for the next n requests of an endpoint; n < 0: for all that follow.
func (p *Provider) Fault(e Endpoint, n int, f Fault) { panic("being written") }

// FaultWhen is Fault for the requests that match accepts; others pass by and leave the queue as it is.
func (p *Provider) FaultWhen(e Endpoint, match func(*http.Request) bool, n int, f Fault) {
	panic("being written")
}

// ClearFaults empties all queues; requests that hang keep hanging until their fault ends.
func (p *Provider) ClearFaults() { panic("being written") }

// Grant matches token requests of a grant type, for FaultWhen.
func Grant(grantType string) func(*http.Request) bool { panic("being written") }

// Status answers with a status and a plain text.
func Status(code int, body string) Fault { panic("being written") }

// HTML answers as a proxy in the way does: a page.
func HTML(code int) Fault { panic("being written") }

// OAuthError answers with an error of RFC 6749 section 5.2.
func OAuthError(code string, status int) Fault { panic("being written") }

// ErrorIn200 answers 200 with an error in the body, as some providers do.
func ErrorIn200(code string) Fault { panic("being written") }

// HugeBody answers 200 with size bytes of JSON.
func HugeBody(size int64) Fault { panic("being written") }

// GzipBomb answers 200 with JSON that decompresses to size bytes.
func GzipBomb(size int64) Fault { panic("being written") }

// Hang does not answer until the channel is closed, the client gives up or the provider is closed.
// The request is not processed.
func Hang(until <-chan struct{}) Fault { panic("being written") }

// HangAfterProcessing processes the request (a refresh token is spent), then answers when the
// channel is closed.
func HangAfterProcessing(until <-chan struct{}) Fault { panic("being written") }

// Drop cuts the connection without processing the request.
func Drop() Fault { panic("being written") }

// DropAfterProcessing processes the request (a refresh token is spent), then cuts the connection.
func DropAfterProcessing() Fault { panic("being written") }

// Throttle answers 429 with Retry-After in whole seconds; zero: without the header.
func Throttle(retryAfter time.Duration) Fault { panic("being written") }

// NoExpiry leaves expires_in out of the provider's answer.
func NoExpiry() Fault { panic("being written") }

// NoRefreshToken leaves refresh_token out of the provider's answer.
func NoRefreshToken() Fault { panic("being written") }

// OtherScopes replaces scope in the provider's answer.
func OtherScopes(scope string) Fault { panic("being written") }

// Rewrite edits the parsed JSON of the provider's answer; a 200 and an object are needed.
func Rewrite(edit func(body map[string]any)) Fault { panic("being written") }

// Redirect answers with a redirect to location.
func Redirect(code int, location string) Fault { panic("being written") }
