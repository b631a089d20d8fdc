// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/url"
	"regexp"
	"sync"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// pairPath is where the operator sends the browser, with the hash of the cookie that it gave to it.
const pairPath = "/pair"

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// pairing meets the one browser that was opened on this machine and vouches for it: the operator
// learns the hash of its cookie from the requester, and the browser gets a proof, which nobody who was
// only sent to this address by somebody else can show together with the cookie.
type pairing struct {
	start string       // the operator's page
	state oauth.Secret // that the browser has opened the address with
	proof oauth.Secret
	// vouch tells the operator.
	vouch func(*v1alpha1.PairedBrowser) error

	mu     sync.Mutex
	paired string // the hash of the browser's cookie
}

// newPairing makes the secrets for one browser. start may have no query.
func newPairing(start string) (*pairing, error) {
	address, err := webAddress(start)
	if err != nil {
		return nil, err
	}
	if address.RawQuery != "" || address.ForceQuery {
		return nil, errUnknownAddress
	}
	return &pairing{start: start, state: newSecret(), proof: newSecret()}, nil
}

func newSecret() oauth.Secret { return oauth.NewSecret(oauth.Random()) }

// address is where the browser has to be opened.
func (p *pairing) address() string { return p.start + "?state=" + p.state.Reveal() }

// arrive is for loopback. A second visit of the same browser, as by a reload, gets the same answer.
func (p *pairing) arrive(query url.Values) (localPage, bool) {
	hash, ok := p.read(query)
	if !ok {
		return localPage{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paired == "" {
		if err := p.vouch(&v1alpha1.PairedBrowser{Hash: hash, ProofHash: p.proof.Hash()}); err != nil {
			return unsentPage, true
		}
		p.paired = hash
	}
	if p.paired != hash {
		return otherBrowserPage, true
	}
	return redirectTo(p.start + "?proof=" + p.proof.Reveal()), true
}

func (p *pairing) read(query url.Values) (hash string, ok bool) {
	state, stateOnce := once(query, "state")
	hash, hashOnce := once(query, "browser")
	ok = stateOnce && hashOnce && len(query) == 2 && p.state.Equal(oauth.NewSecret(state)) && hexSHA256.MatchString(hash)
	return hash, ok
}
