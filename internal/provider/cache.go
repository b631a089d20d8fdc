// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"time"

	"cel.dev/cel-go/cel"
	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// Connections that describe their provider alike share an entry, so these rarely fill. Tenants can
// fill them, though, with one object that they write anew again and again.
const (
	cachedDescriptions = 4096
	// maxCached is the longest description that is kept, in bytes of JSON. What is longer is worked
	// out each time.
	maxCached = 4 << 10
)

// cache holds what need not be worked out at every refresh.
type cache struct {
	descriptions *lru.Cache[[sha256.Size]byte, *description]
	expressions  *expressions
	discovery    *discovery
	keys         *keySets
	certified    *lru.Cache[types.NamespacedName, *certified]
}

// description is a ProviderSpec with its preset applied and its addresses checked. It is shared and
// never changed.
type description struct {
	spec        *v1alpha1.ProviderSpec
	displayName string
	// written is what the fingerprint covers, of the spec as it was, without parameters that say what the
	// preset says anyway. Nothing else of it is kept twice.
	written *v1alpha1.ProviderSpec
}

// programs are a description's expressions. They are kept each by itself, as they weigh much more.
type programs struct {
	account *program
	answers *translation
	rules   []metadataRule
}

func newCache(client *http.Client, policy egress.Policy, c clock.PassiveClock) (*cache, error) {
	made := &cache{}
	var err error
	if made.descriptions, err = lru.New[[sha256.Size]byte, *description](cachedDescriptions); err != nil {
		return nil, err
	}
	if made.expressions, err = newExpressions(); err != nil {
		return nil, err
	}
	if made.discovery, err = newDiscovery(client, policy, c); err != nil {
		return nil, err
	}
	if made.keys, err = newKeySets(client); err != nil {
		return nil, err
	}
	made.certified, err = newCertified()
	return made, err
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
	d := &description{spec: spec.DeepCopy(), written: &v1alpha1.ProviderSpec{
		Preset: spec.Preset, Parameters: maps.Clone(spec.Parameters), Issuer: spec.Issuer, Endpoints: spec.Endpoints, Metadata: spec.Metadata,
	}}
	if spec.Preset != "" {
		if d.spec, d.displayName, err = applyPreset(presets, spec, at); err != nil {
			return nil, err
		}
		entry, _ := presets.Entry(spec.Preset)
		maps.DeleteFunc(d.written.Parameters, func(name, value string) bool {
			p, _ := entry.Parameter(name)
			return value == p.Default
		})
	} else if len(spec.Parameters) > 0 {
		return nil, at.errorf(v1alpha1.ReasonProviderInvalid, "parameters", "only a preset has parameters; set preset, or remove them")
	}
	if err := checkSpec(policy, d.spec, at); err != nil {
		return nil, err
	}
	if d.displayName == "" {
		d.displayName = hostOf(d.spec)
	}
	if len(raw) <= maxCached {
		c.descriptions.Add(key, d)
	}
	return d, nil
}

// programs compiles what was not compiled before.
func (x *expressions) programs(spec *v1alpha1.ProviderSpec, now func() time.Time, at origin) (*programs, error) {
	made := &programs{}
	var err error
	if made.account, err = x.compile(ofAccount, spec.Account, cel.StringType); err != nil {
		return nil, at.errorf(v1alpha1.ReasonProviderInvalid, "account",
			"not a CEL expression over idToken, userInfo, body and callback that gives a text: %s", printable(err.Error(), maxShown))
	}
	if made.answers, err = x.translation(spec.TokenResponse, now, at); err != nil {
		return nil, err
	}
	made.rules, err = x.metadataRules(spec.Metadata, at)
	return made, err
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
