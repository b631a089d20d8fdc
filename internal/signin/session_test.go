// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/uuid"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

var alice = Identity{Username: "https://accounts.example.com#alice", Groups: []string{"oidc:dev", "oidc:ops"}}

// sessions is a provider that is never asked.
func sessions(t testing.TB, keyring *seal.Keyring, change func(*Config)) (*Provider, *clocktesting.FakePassiveClock) {
	t.Helper()
	c := Config{Issuer: "https://accounts.example.com", ClientID: "oauth-operator", RedirectURI: "https://oauth.example.com" + CallbackPath}
	if change != nil {
		change(&c)
	}
	clock := clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC))
	p, err := New(c, nil, keyring, clock)
	if err != nil {
		t.Fatal(err)
	}
	return p, clock
}

func kindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

func sealed(t testing.TB, p *Provider, id Identity) string {
	t.Helper()
	cookie, err := p.SealSession(id)
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func TestASessionLastsFifteenMinutes(t *testing.T) {
	p, clock := sessions(t, newKeyring(t), nil)
	cookie := sealed(t, p, alice)
	clock.SetTime(clock.Now().Add(SessionLifetime - time.Nanosecond))
	if id, err := p.OpenSession(t.Context(), cookie); err != nil || !cmp.Equal(id, alice) {
		t.Errorf("got %v, %v", id, err)
	}
	clock.SetTime(clock.Now().Add(time.Nanosecond))
	if id, err := p.OpenSession(t.Context(), cookie); kindOf(err) != SignedOut || id.Username != "" {
		t.Errorf("at its end: %v, %v", id, err)
	}
}

func TestOnlySessionsAreSessions(t *testing.T) {
	keyring := newKeyring(t)
	p, clock := sessions(t, keyring, nil)
	cookie := sealed(t, p, alice)
	plain, err := json.Marshal(session{alice.Username, alice.Groups, clock.Now(), clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"nothing":         "",
		"no base64":       "!" + cookie[1:],
		"padded":          cookie + "=",
		"line end":        cookie + "\n",
		"cut":             cookie[:len(cookie)-4],
		"long":            strings.Repeat("A", maxCookie+1),
		"not sealed":      base64.RawURLEncoding.EncodeToString(deflate(plain)),
		"a sign-in":       sealedAs(t, p, seal.PurposeSignIn, p.subject, deflate(plain)),
		"a flow":          sealedAs(t, p, seal.PurposeFlow, p.subject, deflate(plain)),
		"a ticket":        sealedAs(t, p, seal.PurposeTicket, "", deflate(plain)),
		"another subject": sealedAs(t, p, seal.PurposeSession, "", deflate(plain)),
		"not compressed":  sealedAs(t, p, seal.PurposeSession, p.subject, plain),
		"not JSON":        sealedAs(t, p, seal.PurposeSession, p.subject, deflate([]byte("{"))),
		"a bomb":          sealedAs(t, p, seal.PurposeSession, p.subject, deflate([]byte(strings.Repeat(" ", 1<<20)+string(plain)))),
	} {
		if id, err := p.OpenSession(t.Context(), forged); kindOf(err) != SignedOut || id.Username != "" {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 1
		if id, err := p.OpenSession(t.Context(), base64.RawURLEncoding.EncodeToString(changed)); kindOf(err) != SignedOut {
			t.Errorf("byte %d changed: %v, %v", i, id, err)
		}
	}
}

func sealedAs(t *testing.T, p *Provider, purpose seal.Purpose, subject string, plain []byte) string {
	t.Helper()
	cookie, err := p.seal(purpose, subject, plain)
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func TestOtherRulesForNamesEndSessions(t *testing.T) {
	keyring := newKeyring(t)
	p, _ := sessions(t, keyring, nil)
	cookie := sealed(t, p, alice)
	same, _ := sessions(t, keyring, func(c *Config) { c.UsernameClaim, c.UsernamePrefix = "sub", c.Issuer+"#" })
	if _, err := same.OpenSession(t.Context(), cookie); err != nil {
		t.Errorf("the defaults, spelled out: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"issuer":         func(c *Config) { c.Issuer, c.UsernamePrefix = "https://another.example.com", c.Issuer+"#" },
		"client":         func(c *Config) { c.ClientID = "another" },
		"claim":          func(c *Config) { c.UsernameClaim = "email" },
		"prefix":         func(c *Config) { c.UsernamePrefix = "-" },
		"groups":         func(c *Config) { c.GroupsClaim = "groups" },
		"groups' prefix": func(c *Config) { c.GroupsPrefix = "oidc:" },
	} {
		other, _ := sessions(t, keyring, change)
		if id, err := other.OpenSession(t.Context(), cookie); kindOf(err) != SignedOut {
			t.Errorf("another %s: %v, %v", name, id, err)
		}
	}
	another, _ := sessions(t, newKeyring(t), nil)
	if _, err := another.OpenSession(t.Context(), cookie); kindOf(err) != SignedOut {
		t.Errorf("another keyset: %v", err)
	}
}

func TestGroupsFitOrAreSaidNotTo(t *testing.T) {
	p, _ := sessions(t, newKeyring(t), nil)
	uuids := func(n int) (groups []string) {
		for range n {
			groups = append(groups, "oidc:"+string(uuid.NewUUID()))
		}
		return groups
	}
	names := func(n int) (groups []string) {
		for i := range n {
			groups = append(groups, fmt.Sprintf("oidc:CN=team-%d-developers,OU=Groups,DC=example,DC=com", i*7919))
		}
		return groups
	}
	for name, test := range map[string]struct {
		groups []string
		fits   bool
	}{
		"none":           {nil, true},
		"100 UUIDs":      {uuids(100), true},
		"200 UUIDs":      {uuids(200), false},
		"300 names":      {names(300), true},
		"10000 names":    {names(10000), false},
		"one huge name":  {[]string{strings.Repeat("x", 1<<20)}, false},
		"one at the end": {[]string{strings.Repeat("x", maxSession-200)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := Identity{Username: alice.Username, Groups: test.groups}
			cookie, err := p.SealSession(want)
			if !test.fits {
				if kindOf(err) != TooManyGroups || cookie != "" {
					t.Errorf("got %d bytes, %v", len(cookie), err)
				}
				return
			}
			if err != nil || len(cookie) > maxCookie {
				t.Fatalf("got %d bytes, %v", len(cookie), err)
			}
			if id, err := p.OpenSession(t.Context(), cookie); err != nil || !cmp.Equal(id, want) {
				t.Errorf("%v: %s", err, cmp.Diff(want, id))
			}
		})
	}
}

func TestAClusterThatDoesNotAnswerSignsNobodyOut(t *testing.T) {
	outage := errors.New("no API server")
	err := asKind(unavailable("the cookie cannot be opened now", outage), SignedOut, "")
	if kindOf(err) != Unavailable || !errors.Is(err, outage) {
		t.Errorf("got %v", err)
	}
}

func FuzzOpenSession(f *testing.F) {
	p, _ := sessions(f, newKeyring(f), nil)
	cookie := sealed(f, p, alice)
	for _, text := range []string{"", "AQAAAAA", cookie[1:], cookie + "A", cookie[:40]} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, forged string) {
		if id, err := p.OpenSession(t.Context(), forged); forged != cookie && kindOf(err) != SignedOut {
			t.Errorf("%q is a session of %v (%v)", forged, id, err)
		}
	})
}

func FuzzInflate(f *testing.F) {
	f.Add(deflate([]byte(`{"user":"alice","groups":["dev"],"iat":"2030-01-01T12:00:00Z","exp":"2030-01-01T12:15:00Z"}`)))
	f.Fuzz(func(_ *testing.T, compressed []byte) {
		_ = inflate(compressed, &session{}) // neither panics nor takes long
	})
}
