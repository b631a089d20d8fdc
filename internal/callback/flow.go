// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// flowLifetime is how long a person may take between leaving for the provider and coming back.
const flowLifetime = 10 * time.Minute

// flow is one authorization request. It travels in a sealed cookie: the browser that comes back has
// to be the one that left, and no replica has to remember it.
type flow struct {
	Namespace     string    `json:"ns"`
	Connection    string    `json:"conn"`
	ConnectionUID types.UID `json:"connUID"`
	// Authorization is the attempt that the state is claimed on.
	Authorization    string    `json:"auth"`
	AuthorizationUID types.UID `json:"authUID"`
	State            string    `json:"state"`
	Verifier         string    `json:"verifier"`
	Nonce            string    `json:"nonce"`
	// Path is where the provider has to send the browser back to.
	Path        string    `json:"path"`
	Fingerprint string    `json:"fp"`
	Scopes      []string  `json:"scopes,omitempty"`
	Expires     time.Time `json:"exp"`
}

// secrets fills in what nobody may guess: 256 bits each (RFC 9700 section 4.7.1, RFC 7636 section 4.1).
func (f *flow) secrets() {
	f.State, f.Nonce, f.Verifier = rand32(), rand32(), oauth2.GenerateVerifier()
}

func rand32() string {
	random := make([]byte, 32)
	rand.Read(random) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(random)
}

func hashOf(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// cookieID tells the flows of several tabs apart without telling the state.
func cookieID(state string) string { return hashOf(state)[:16] }

// cookieName has the prefix by which browsers refuse such a cookie from elsewhere. It needs https.
func (s *Server) cookieName(id string) string {
	if s.https() {
		return "__Host-oauth-flow-" + id
	}
	return "oauth-flow-" + id
}

func (s *Server) https() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// setFlow gives the flow to the browser.
func (s *Server) setFlow(w http.ResponseWriter, f *flow) error {
	plain, err := json.Marshal(f)
	if err != nil {
		return err
	}
	id := cookieID(f.State)
	sealed, err := s.Keyring.Seal(seal.PurposeFlow, id, plain)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.cookie(id, base64.RawURLEncoding.EncodeToString(sealed), int(flowLifetime/time.Second)))
	return nil
}

// clearFlow takes it back.
func (s *Server) clearFlow(w http.ResponseWriter, f *flow) {
	http.SetCookie(w, s.cookie(cookieID(f.State), "", -1))
}

// cookie is Lax: the provider's redirect is a top-level navigation from another site.
func (s *Server) cookie(id, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: s.cookieName(id), Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.https(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// flowOf opens the cookie that belongs to a state. A nil flow comes with the problem to show.
func (s *Server) flowOf(ctx context.Context, r *http.Request, state string) (*flow, problem) {
	id := cookieID(state)
	cookie, err := r.Cookie(s.cookieName(id))
	if err != nil {
		return nil, flowMissing
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil, flowForged
	}
	plain, err := s.Keyring.Unseal(ctx, seal.PurposeFlow, id, sealed)
	if err != nil {
		return nil, flowForged
	}
	f := &flow{}
	if err := json.Unmarshal(plain, f); err != nil {
		return nil, flowForged
	}
	return f, 0
}
