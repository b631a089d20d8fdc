// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// BareServer is a token endpoint that costs next to nothing, for benchmarks: rotating opaque
// tokens of a fixed lifetime, no client authentication, no library. It answers every path.
type BareServer struct {
	lifetime time.Duration

	mu          sync.Mutex
	generations []int // of each family of refresh tokens
	issued      int64
	reuses      int64
}

// Bare makes such an endpoint. Every grant but refresh_token starts a family of tokens, and so does
// a refresh token that is not the server's own. A refresh token is good for one use.
func Bare(accessTokenLifetime time.Duration) *BareServer {
	return &BareServer{lifetime: accessTokenLifetime}
}

// ServeHTTP answers a token request.
func (b *BareServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	family, generation, ok := b.next(r.FormValue("refresh_token"))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	fmt.Fprintf(w, `{"access_token":"bare-access-%d.%d","refresh_token":"bare-refresh-%d.%d","token_type":"Bearer","expires_in":%d}`,
		family, generation, family, generation, int(b.lifetime.Seconds()))
}

// next spends a refresh token.
func (b *BareServer) next(refreshToken string) (family, generation int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	family, generation, own := parseBare(refreshToken)
	switch {
	case !own:
		family = len(b.generations)
		b.generations = append(b.generations, 0)
	case family < 0 || family >= len(b.generations) || generation > b.generations[family]:
		return 0, 0, false
	case generation < b.generations[family]:
		b.reuses++
		return 0, 0, false
	default:
		b.generations[family]++
	}
	b.issued++
	return family, b.generations[family], true
}

func parseBare(refreshToken string) (family, generation int, own bool) {
	value, own := strings.CutPrefix(refreshToken, "bare-refresh-")
	if !own {
		return 0, 0, false
	}
	first, second, _ := strings.Cut(value, ".")
	family, familyErr := strconv.Atoi(first)
	generation, generationErr := strconv.Atoi(second)
	if familyErr != nil || generationErr != nil {
		return -1, 0, true
	}
	return family, generation, true
}

// Count is the number of tokens issued.
func (b *BareServer) Count() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.issued
}

// Reuses counts spent refresh tokens that came back.
func (b *BareServer) Reuses() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reuses
}
