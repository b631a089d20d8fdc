// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

const (
	// flowLifetime is how long a person has at the provider.
	flowLifetime = 10 * time.Minute
	// maxFlows bounds the flows that one browser has under way. A cookie of a flow has about 1 KiB,
	// and proxies take 8 KiB of cookies.
	maxFlows = 5
	// maxCookie bounds what is decoded, in bytes; browsers keep no longer cookies.
	maxCookie = 4096

	flowCookie = "oauth-flow-"
)

// flow is one authorization request. It is sealed into a cookie, so that only the browser that
// started can come back, and nothing is kept on the server. Each flow has its own cookie: two tabs
// do not disturb each other.
type flow struct {
	Namespace     string    `json:"ns"`
	Attempt       string    `json:"attempt"` // the OAuthAuthorization
	AttemptUID    string    `json:"attemptUID"`
	Connection    string    `json:"conn"`
	ConnectionUID string    `json:"connUID"`
	State         string    `json:"state"`
	Verifier      string    `json:"verifier"`
	Nonce         string    `json:"nonce"`
	Path          string    `json:"path"` // of the redirect URI, without PublicURL
	Fingerprint   string    `json:"fp"`
	Expires       time.Time `json:"exp"`
}

func (f *flow) connection() types.NamespacedName {
	return types.NamespacedName{Namespace: f.Namespace, Name: f.Connection}
}

// flowID is the part of a cookie's name that finds the flow of a state.
func flowID(state string) string { return oauth.NewSecret(state).Hash()[:16] }

func (s *Server) https() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// cookiePrefix binds cookies to this very host where browsers allow it: over https.
func (s *Server) cookiePrefix() string {
	if s.https() {
		return "__Host-" + flowCookie
	}
	return flowCookie
}

// setFlow seals a flow into a cookie, and clears flows that are over or too many.
func (s *Server) setFlow(ctx context.Context, v *visit, f flow) error {
	s.makeRoom(ctx, v)
	plain, err := json.Marshal(f)
	if err != nil {
		return refuseFor(unavailable, err)
	}
	id := flowID(f.State)
	sealed, err := s.Keyring.Seal(seal.PurposeFlow, id, plain)
	if err != nil {
		return refuseFor(unavailable, err)
	}
	s.setCookie(v, s.cookiePrefix()+id, base64.RawURLEncoding.EncodeToString(sealed), flowLifetime)
	return nil
}

// flow opens the cookie of a state. Any cookie that was not sealed for it is as good as none.
func (s *Server) flow(ctx context.Context, v *visit, id string) (*flow, bool) {
	cookie, err := v.Cookie(s.cookiePrefix() + id)
	if err != nil || len(cookie.Value) > maxCookie {
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil, false
	}
	plain, err := s.Keyring.Unseal(ctx, seal.PurposeFlow, id, sealed)
	if err != nil {
		return nil, false
	}
	f := &flow{}
	return f, json.Unmarshal(plain, f) == nil
}

// makeRoom clears cookies of flows that cannot end well any more, and the oldest of too many.
func (s *Server) makeRoom(ctx context.Context, v *visit) {
	type old struct {
		name    string
		expires time.Time
	}
	var open []old
	for _, cookie := range v.Cookies() {
		id, ours := strings.CutPrefix(cookie.Name, s.cookiePrefix())
		if !ours {
			continue
		}
		if f, ok := s.flow(ctx, v, id); ok && s.Clock.Now().Before(f.Expires) {
			open = append(open, old{cookie.Name, f.Expires})
			continue
		}
		s.clearCookie(v, cookie.Name)
	}
	slices.SortFunc(open, func(a, b old) int { return cmp.Compare(b.expires.UnixNano(), a.expires.UnixNano()) })
	for _, o := range open[min(len(open), maxFlows-1):] {
		s.clearCookie(v, o.name)
	}
}

func (s *Server) clearFlow(v *visit, f *flow) { s.clearCookie(v, s.cookiePrefix()+flowID(f.State)) }

func (s *Server) clearCookie(v *visit, name string) { s.setCookie(v, name, "", -time.Second) }

// setCookie sets a cookie that comes along on the way back from the provider (SameSite=Lax) and
// that no script can read.
func (s *Server) setCookie(v *visit, name, value string, life time.Duration) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure is left out where PublicURL is plain http: browsers would drop the cookie
		Name:     name,
		Value:    value,
		Path:     "/",
		MaxAge:   int(life.Seconds()),
		Secure:   s.https(),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
