// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"net/http"
	"time"
)

// BareServer is a token endpoint that costs next to nothing, for benchmarks: rotating opaque
// tokens of a fixed lifetime, no client authentication, no library. It answers every path.
type BareServer struct{}

// Bare makes such an endpoint. Any code and any refresh token is accepted once.
func Bare(accessTokenLifetime time.Duration) *BareServer { panic("being written") }

// ServeHTTP answers POST with a token.
func (b *BareServer) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("being written") }

// Count is the number of tokens issued.
func (b *BareServer) Count() int64 { panic("being written") }

// Reuses counts refresh tokens that came twice.
func (b *BareServer) Reuses() int64 { panic("being written") }
