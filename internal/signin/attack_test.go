// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func TestAnotherBrowserCannotFinish(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	start, other := r.begin(t), r.begin(t)
	query := r.back(t, start, (*idp.Browser).Connect)
	session, err := r.SealSession(Identity{Username: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	for name, cookie := range map[string]string{
		"none": "", "of another sign-in": other.Cookie, "a session": session, "not ours": "AAAA", "broken": start.Cookie[1:],
		"with line ends": start.Cookie + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.Finish(t.Context(), cookie, query)
			r.expect(t, err, WrongBrowser)
		})
	}
	if n := r.idp.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
	// What others tried has not spent anything.
	if _, _, err := r.Finish(t.Context(), start.Cookie, query); err != nil {
		t.Error(err)
	}
}

func TestAnAttackersCodeSignsNobodyElseIn(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	victim, attacker := r.begin(t), r.begin(t)
	theirs := r.back(t, attacker, (*idp.Browser).Connect)
	_, _, err := r.Finish(t.Context(), victim.Cookie, theirs)
	r.expect(t, err, WrongBrowser)

	address, err := url.Parse(victim.Address)
	if err != nil {
		t.Fatal(err)
	}
	injected := url.Values{"state": {address.Query().Get("state")}, "iss": theirs["iss"], "code": theirs["code"]}
	_, _, err = r.Finish(t.Context(), victim.Cookie, injected)
	r.expect(t, err, Expired)
}

func TestMalformedResponsesReachNobody(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	start := r.begin(t)
	good := r.back(t, start, (*idp.Browser).Connect)
	for name, change := range map[string]func(url.Values){
		"no state":            func(q url.Values) { q.Del("state") },
		"no code":             func(q url.Values) { q.Del("code") },
		"code and error":      func(q url.Values) { q.Set("error", "access_denied") },
		"two states":          func(q url.Values) { q.Add("state", q.Get("state")) },
		"two codes":           func(q url.Values) { q.Add("code", "x") },
		"two issuers":         func(q url.Values) { q.Add("iss", q.Get("iss")) },
		"another issuer":      func(q url.Values) { q.Set("iss", "https://evil.example") },
		"issuer with a slash": func(q url.Values) { q.Set("iss", q.Get("iss")+"/") },
		"promised issuer":     func(q url.Values) { q.Del("iss") },
	} {
		t.Run(name, func(t *testing.T) {
			query := url.Values{}
			for key, values := range good {
				query[key] = append([]string(nil), values...)
			}
			change(query)
			_, _, err := r.Finish(t.Context(), start.Cookie, query)
			r.expect(t, err, BadResponse)
		})
	}
	if n := r.idp.Count(idp.Token); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

func TestAnIssuerThatWasNotPromisedMayBeMissing(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	r.idp.Fault(idp.Discovery, 1, setMetadata("authorization_response_iss_parameter_supported", nil))
	start := r.begin(t)
	query := r.back(t, start, (*idp.Browser).Connect)
	query.Del("iss")
	if _, _, err := r.Finish(t.Context(), start.Cookie, query); err != nil {
		t.Error(err)
	}
}

func TestIDTokensOfOthersAreRefused(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	stranger := newRig(t, idp.Options{}, nil)
	edit := func(name string, value any) func(string, map[string]any) any {
		return func(_ string, held map[string]any) any {
			held[name] = value
			return sign(r.idp, held)
		}
	}
	for name, replace := range map[string]func(token string, held map[string]any) any{
		"another nonce":     edit("nonce", "another"),
		"no nonce":          edit("nonce", nil),
		"another issuer":    edit("iss", stranger.idp.Issuer()),
		"issuer and slash":  edit("iss", r.idp.Issuer()+"/"),
		"another audience":  edit("aud", []string{"another"}),
		"no audience":       edit("aud", nil),
		"another party":     edit("azp", "another"),
		"party no text":     edit("azp", 1),
		"expired":           edit("exp", time.Now().Add(-time.Minute).Unix()),
		"no expiry":         edit("exp", nil),
		"not yet":           edit("nbf", time.Now().Add(time.Hour).Unix()),
		"claims no texts":   edit("sub", []string{"alice"}),
		"another key":       func(_ string, held map[string]any) any { return sign(stranger.idp, held) },
		"no signature":      func(token string, _ map[string]any) any { return unsigned(token) },
		"client secret key": func(_ string, held map[string]any) any { return withSecret(held) },
		"cut":               func(token string, _ map[string]any) any { return token[:len(token)-4] },
		"two parts":         func(string, map[string]any) any { return "e30.e30" },
		"no JWT":            func(string, map[string]any) any { return idp.ProviderText },
		"no text":           func(string, map[string]any) any { return 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r.otherIDToken(replace)
			id, _, err := r.signIn(t)
			r.expect(t, err, BadResponse)
			if id.Username != "" {
				t.Errorf("signed in as %v", id)
			}
		})
	}
}

// unsigned is the token with "alg": "none".
func unsigned(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(token, ".")[1] + "."
}

func withSecret(held map[string]any) string {
	secret := idp.DefaultClient().Secret + idp.DefaultClient().Secret
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		panic(err)
	}
	token, err := jwt.Signed(signer).Claims(held).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}
