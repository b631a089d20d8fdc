// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

func TestAnIssuerThatIsDownIsAskedAgainAfterAWhile(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	r.idp.Fault(idp.Discovery, -1, idp.Status(503, idp.ProviderText))
	begin := func(want Kind, asked int) {
		t.Helper()
		_, err := r.Begin(t.Context(), page)
		r.expect(t, err, want)
		if n := r.idp.Count(idp.Discovery); n != asked {
			t.Errorf("asked %d times, want %d", n, asked)
		}
	}
	begin(ProviderDown, 1)
	begin(ProviderDown, 1)
	r.clock.SetTime(r.clock.Now().Add(discoveryRetry))
	begin(ProviderDown, 2)
	r.idp.ClearFaults()
	begin(ProviderDown, 2)
	r.clock.SetTime(r.clock.Now().Add(discoveryRetry))
	if _, _, err := r.signIn(t); err != nil {
		t.Error(err)
	}
}

func TestWhatTheIssuerSaidLastIsUsedWhileItIsDown(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	r.begin(t)
	r.idp.Fault(idp.Discovery, -1, idp.Drop())
	r.clock.SetTime(r.clock.Now().Add(discoveryTTL - time.Second))
	r.begin(t)
	if n := r.idp.Count(idp.Discovery); n != 1 {
		t.Errorf("asked %d times within an hour", n)
	}
	r.clock.SetTime(r.clock.Now().Add(time.Second))
	r.begin(t)
	r.begin(t)
	asked := r.idp.Count(idp.Discovery)
	if asked < 2 {
		t.Errorf("asked %d times after an hour", asked)
	}
	r.idp.ClearFaults()
	r.idp.Fault(idp.Discovery, -1, setMetadata("issuer", "https://evil.example"))
	r.clock.SetTime(r.clock.Now().Add(discoveryRetry))
	_, err := r.Begin(t.Context(), page)
	r.expect(t, err, Misconfigured)
}

func TestMetadataThatCannotBeUsedIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		fault idp.Fault
		want  Kind
	}{
		"another issuer":   {setMetadata("issuer", "https://evil.example"), Misconfigured},
		"no token address": {setMetadata("token_endpoint", nil), Misconfigured},
		"no keys":          {setMetadata("jwks_uri", ""), Misconfigured},
		"script":           {setMetadata("authorization_endpoint", "javascript:alert(1)//"), Misconfigured},
		"relative":         {setMetadata("authorization_endpoint", "/authorize"), Misconfigured},
		"odd types":        {setMetadata("scopes_supported", 1), ProviderDown},
		"a page":           {idp.HTML(200), ProviderDown},
		"huge":             {idp.HugeBody(1 << 20), ProviderDown},
		"redirect":         {idp.Redirect(302, "https://evil.example"), ProviderDown},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, idp.Options{}, nil)
			r.idp.Fault(idp.Discovery, -1, test.fault)
			_, err := r.Begin(t.Context(), page)
			r.expect(t, err, test.want)
		})
	}
}

func TestAnHTTPSIssuerSendsNobodyToHTTP(t *testing.T) {
	r := newRig(t, idp.Options{TLS: true}, nil)
	r.idp.Fault(idp.Discovery, -1, setMetadata("authorization_endpoint", "http://127.0.0.1/authorize"))
	_, err := r.Begin(t.Context(), page)
	r.expect(t, err, Misconfigured)
}

func TestTheIssuerIsWrittenAsTheProviderWritesIt(t *testing.T) {
	r := newRig(t, idp.Options{}, func(c *Config) { c.Issuer += "/" })
	_, err := r.Begin(t.Context(), page)
	r.expect(t, err, Misconfigured)
}

func TestThePolicyForOutboundRequestsHolds(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	guarded, err := New(r.config, egress.NewClient(egress.Policy{AllowHTTP: true}), r.keyring, r.clock)
	if err != nil {
		t.Fatal(err)
	}
	_, err = guarded.Begin(t.Context(), page)
	r.expect(t, err, Misconfigured)
	if n := r.idp.Count(idp.Discovery); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestManyPeopleAtOnceAskTheIssuerOnce(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	answer := make(chan struct{})
	r.idp.Fault(idp.Discovery, 1, idp.Hang(answer))
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := r.Begin(gone, page)
	r.expect(t, err, ProviderDown)

	var people sync.WaitGroup
	for range 50 {
		people.Go(func() {
			if _, err := r.Begin(t.Context(), page); err != nil {
				t.Error(err)
			}
		})
	}
	close(answer)
	people.Wait()
	if n := r.idp.Count(idp.Discovery); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestMistakesInTheConfigurationAreFoundAtTheStart(t *testing.T) {
	r := newRig(t, idp.Options{}, nil)
	for name, change := range map[string]func(*Config){
		"no issuer":       func(c *Config) { c.Issuer = "" },
		"no address":      func(c *Config) { c.Issuer = "accounts.example.com" },
		"another scheme":  func(c *Config) { c.Issuer = "ftp://accounts.example.com" },
		"query":           func(c *Config) { c.Issuer = "https://accounts.example.com?a=b" },
		"credentials":     func(c *Config) { c.Issuer = "https://a:b@accounts.example.com" },
		"fragment":        func(c *Config) { c.Issuer = "https://accounts.example.com#a" },
		"no client":       func(c *Config) { c.ClientID = "" },
		"no redirect URI": func(c *Config) { c.RedirectURI = "" },
		"user prefix":     func(c *Config) { c.UsernamePrefix = "system:" },
		"group prefix":    func(c *Config) { c.GroupsPrefix = "system:oidc:" },
	} {
		c := r.config
		change(&c)
		if _, err := New(c, r.http, r.keyring, r.clock); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
