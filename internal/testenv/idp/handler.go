// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func (p *Provider) handler() (http.Handler, error) {
	config := &op.Config{
		CodeMethodS256:          true,
		AuthMethodPost:          true,
		AuthMethodPrivateKeyJWT: true,
		GrantTypeRefreshToken:   true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: p.storage.options.DeviceLifetime, PollInterval: p.storage.options.DeviceInterval,
			UserFormPath: string(DeviceCode), UserCode: op.UserCodeBase20,
		},
	}
	library, err := op.NewProvider(config, p.storage, op.StaticIssuer(p.issuer), op.WithAllowInsecure(),
		op.WithCrypto(opaque{p.storage}), op.WithLogger(slog.New(slog.DiscardHandler)), op.WithCORSOptions(nil))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mount := func(e Endpoint, handler http.Handler) { mux.Handle(string(e), p.observe(e, handler)) }
	mount(Discovery, p.advertise(library))
	mount(Keys, library)
	mount(Authorize, p.authorizationResponse(library))
	mux.Handle(string(Authorize)+"/callback", p.authorizationResponse(library))
	mount(Token, p.authenticated(p.recordTokens(p.assertionGrant(library))))
	mount(Revocation, p.authenticated(library))
	mount(DeviceAuthorization, p.authenticated(p.recordTokens(library)))
	mount(DeviceCode, http.HandlerFunc(p.deviceCode))
	if p.storage.options.Introspection {
		mount(Introspection, p.authenticated(library))
	}
	mount(UserInfo, p.validTokenOnly(library))
	mount(SignIn, http.HandlerFunc(p.signIn))
	mount(Consent, http.HandlerFunc(p.consent))
	mount(API, p.validTokenOnly(http.HandlerFunc(p.resource)))
	return mux, nil
}

// advertise corrects discovery: iss in authorization responses (RFC 9207) is our own addition, and
// what the library would serve besides is not mounted, or not used by any client.
func (p *Provider) advertise(library http.Handler) http.Handler {
	hidden := []string{"end_session_"}
	if !p.storage.options.Introspection {
		hidden = append(hidden, "introspection_")
	}
	grants := []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeClientCredentials}
	for _, grant := range []oidc.GrantType{oidc.GrantTypeDeviceCode, oidc.GrantTypeBearer, oidc.GrantTypeTokenExchange} {
		if p.storage.anybodyMay(grant) {
			grants = append(grants, grant)
		}
	}
	if !slices.Contains(grants, oidc.GrantTypeDeviceCode) {
		hidden = append(hidden, "device_")
	}
	correct := Rewrite(func(body map[string]any) {
		body["authorization_response_iss_parameter_supported"] = true
		body["response_types_supported"] = []string{"code"}
		body["grant_types_supported"] = grants
		for key := range body {
			if strings.HasSuffix(key, "_endpoint_auth_signing_alg_values_supported") {
				body[key] = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256}
			}
			if slices.ContainsFunc(hidden, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
				delete(body, key)
			}
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { correct(w, r, library) })
}

// observe logs a request and lets a queued fault answer it.
func (p *Provider) observe(e Endpoint, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "malformed request", http.StatusBadRequest)
			return
		}
		p.log.add(e, r, p.storage.now())
		if fault := p.faults.take(e, r); fault != nil {
			fault(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

const maxRequest = 1 << 20

// authorizationResponse adds iss to what returns to the client, and records codes.
func (p *Provider) authorizationResponse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := newBuffer()
		next.ServeHTTP(answer, r)
		location, err := url.Parse(answer.header.Get("Location"))
		if err != nil || !location.Query().Has("code") && !location.Query().Has("error") {
			answer.copyTo(w)
			return
		}
		p.log.issue(location.Query().Get("code"))
		http.Redirect(w, r, p.withIssuer(location, location.Query()), http.StatusFound)
	})
}

func (p *Provider) withIssuer(location *url.URL, query url.Values) string {
	query.Set("iss", p.issuer)
	location.RawQuery = query.Encode()
	return location.String()
}

func (p *Provider) recordTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := newBuffer()
		next.ServeHTTP(answer, r)
		var tokens struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
			ID      string `json:"id_token"`
			Device  string `json:"device_code"`
		}
		if json.Unmarshal(answer.body.Bytes(), &tokens) == nil {
			p.log.issue(tokens.Access, tokens.Refresh, tokens.ID, tokens.Device)
		}
		answer.copyTo(w)
	})
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (p *Provider) validTokenOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.AccessTokenValid(bearer(r)) {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// resource is what tokens are good for.
func (p *Provider) resource(w http.ResponseWriter, r *http.Request) {
	token, _ := p.storage.accessToken(bearer(r))
	if token.consent == nil { // it expired since validTokenOnly
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"account":    token.user,
		"scope":      strings.Join(token.scopes, " "),
		"expires_in": int(token.expiry.Sub(p.storage.now()).Seconds()),
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
