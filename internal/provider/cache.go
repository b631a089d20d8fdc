// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// Connections that describe their provider alike share an entry, so these rarely fill. Tenants can
// fill them, though, with one object that they write anew again and again: full, they hold 130 MiB.
const (
	cachedDescriptions = 4096
	cachedPrograms     = 1024
	// maxCached is the longest description that is kept, in bytes of JSON. What is longer is worked
	// out each time.
	maxCached = 4 << 10
)

// cache holds what need not be worked out at every refresh.
type cache struct {
	descriptions *lru.Cache[[sha256.Size]byte, *description]
	accounts     *accounts
	discovery    *discovery
}

// description is a ProviderSpec with its preset applied and everything checked that can be checked
// without asking anybody. It is shared and never changed.
type description struct {
	spec        *v1alpha1.ProviderSpec
	displayName string
	account     *program
}

func newCache(client *http.Client, policy egress.Policy, c clock.PassiveClock) (*cache, error) {
	descriptions, err := lru.New[[sha256.Size]byte, *description](cachedDescriptions)
	if err != nil {
		return nil, err
	}
	accounts, err := newAccounts()
	if err != nil {
		return nil, err
	}
	discovery, err := newDiscovery(client, policy, c)
	return &cache{descriptions: descriptions, accounts: accounts, discovery: discovery}, err
}

// describe is keyed by content: what was written decides, not where.
func (c *cache) describe(presets *catalog.Catalog, policy egress.Policy, spec *v1alpha1.ProviderSpec, at origin) (*description, error) {
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, unavailable("the provider's description", err)
	}
	key := sha256.Sum256(raw)
	if d, found := c.descriptions.Get(key); found {
		return d, nil
	}
	d := &description{spec: spec.DeepCopy()}
	if spec.Preset != "" {
		if d.spec, d.displayName, err = applyPreset(presets, spec, at); err != nil {
			return nil, err
		}
	} else if len(spec.Parameters) > 0 {
		return nil, at.errorf(v1alpha1.ReasonProviderInvalid, "parameters", "only a preset has parameters; set preset, or remove them")
	}
	if err := checkSpec(policy, d.spec, at); err != nil {
		return nil, err
	}
	if d.displayName == "" {
		d.displayName = hostOf(d.spec)
	}
	if d.account, err = c.accounts.compile(d.spec.Account); err != nil {
		return nil, at.errorf(v1alpha1.ReasonProviderInvalid, "account",
			"not a CEL expression over idToken, userInfo and body that gives a text: %s", printable(err.Error(), maxShown))
	}
	if len(raw) <= maxCached {
		c.descriptions.Add(key, d)
	}
	return d, nil
}

// hostOf names a provider that has no name.
func hostOf(spec *v1alpha1.ProviderSpec) string {
	address := string(spec.Issuer)
	if address == "" && spec.Endpoints != nil {
		address = string(spec.Endpoints.Token)
	}
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return printable(u.Hostname(), maxShown)
}
