// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

const page = "/connect/team-a/github"

// rig is the operator as relying party of a real provider.
type rig struct {
	*Provider
	idp   *idp.Provider
	clock *clocktesting.FakePassiveClock
}

func newRig(t *testing.T, o idp.Options, change func(*Config)) *rig {
	t.Helper()
	p, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c := Config{
		Issuer:      p.Issuer(),
		ClientID:    idp.DefaultClient().ID,
		RedirectURI: "http://127.0.0.1:1" + CallbackPath,
		ClientSecret: func(context.Context) (oauth.Secret, error) {
			return oauth.NewSecret(idp.DefaultClient().Secret), nil
		},
	}
	if change != nil {
		change(&c)
	}
	r := &rig{idp: p, clock: clocktesting.NewFakePassiveClock(time.Now())}
	r.Provider = newProvider(t, c, newKeyring(t), r.clock, p.CA())
	return r
}

// newProvider trusts an authority, besides none, where one is given.
func newProvider(t *testing.T, c Config, keyring *seal.Keyring, now *clocktesting.FakePassiveClock, ca []byte) *Provider {
	t.Helper()
	policy := egress.Policy{AllowHTTP: true, AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if ca != nil {
		policy.AllowHTTP, policy.RootCAs = false, x509.NewCertPool()
		policy.RootCAs.AppendCertsFromPEM(ca)
	}
	p, err := New(c, egress.NewClient(policy), keyring, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newKeyring(t testing.TB) *seal.Keyring {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := seal.Open(context.Background(), func(context.Context) ([]byte, error) { return keyset, nil })
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

// begin starts a sign-in.
func (r *rig) begin(t *testing.T) *Start {
	t.Helper()
	start, err := r.Begin(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

// back walks a browser to the provider's redirect back and returns the query of that.
func (r *rig) back(t *testing.T, start *Start, walk func(*idp.Browser, context.Context, string, idp.User) (*idp.Page, error)) url.Values {
	t.Helper()
	b := &idp.Browser{CA: r.idp.CA(), Until: func(next *url.URL) bool { return next.Path == CallbackPath }}
	shown, err := walk(b, t.Context(), start.Address, idp.DefaultUser())
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(shown.Header.Get("Location"))
	if err != nil || location.Path != CallbackPath {
		t.Fatalf("the walk ends at %s with status %d: %s", shown.URL.Redacted(), shown.Status, shown.Body)
	}
	return location.Query()
}

// signIn walks through a whole sign-in.
func (r *rig) signIn(t *testing.T) (Identity, string, error) {
	t.Helper()
	start := r.begin(t)
	query := r.back(t, start, (*idp.Browser).Connect)
	if ID(query) != start.ID {
		t.Errorf("the sign-in is called %s, and %s when it comes back", start.ID, ID(query))
	}
	return r.Finish(t.Context(), start.Cookie, query)
}

// expect says what kind an error is, and that nothing secret or foreign is in it.
func (r *rig) expect(t *testing.T, err error, kind Kind) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != kind {
		t.Errorf("got %v, want the kind %s", err, kind)
		return
	}
	for _, text := range append(append(r.idp.Issued(), r.idp.Received()...), idp.ProviderText, r.idp.Issuer()) {
		if strings.Contains(e.Error(), text) {
			t.Errorf("%q tells %q", e, text)
		}
	}
}

// otherIDToken puts another ID token into the next token answer.
func (r *rig) otherIDToken(replace func(token string, held map[string]any) any) {
	r.idp.Fault(idp.Token, 1, idp.Rewrite(func(body map[string]any) {
		token, _ := body["id_token"].(string)
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		held := map[string]any{}
		if err == nil {
			err = json.Unmarshal(payload, &held)
		}
		if err != nil {
			panic(err)
		}
		body["id_token"] = replace(token, held)
	}))
}

// sign signs claims as the provider would.
func sign(p *idp.Provider, held map[string]any) string {
	token, err := p.Sign(held)
	if err != nil {
		panic(err)
	}
	return token
}

func setMetadata(name string, value any) idp.Fault {
	return idp.Rewrite(func(body map[string]any) { body[name] = value })
}
