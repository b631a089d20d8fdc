// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// Links makes start addresses for Link mode: who holds one may connect an account. They are sealed
// and short-lived.
type Links struct {
	Keyring *seal.Keyring
	// PublicURL is the address of the callback server as browsers see it.
	PublicURL string
	// Lifetime of a start address. Zero means that Link mode is off.
	Lifetime time.Duration
}

// startAddress is where a person starts to consent; empty while none is needed. The one in status
// is kept for the first half of its life, so that looking does not write.
func (p *pass) startAddress(ctx context.Context) (string, error) {
	if !p.personNeeded || p.Links.Lifetime == 0 {
		return "", nil
	}
	start, err := url.JoinPath(p.Links.PublicURL, "connect", p.conn.Namespace, p.conn.Name)
	if err != nil {
		return "", err
	}
	start += "?"
	current, consent := p.conn.Status.AuthorizationURL, ""
	if p.record != nil {
		consent = string(p.record.Authorization)
	}
	if left := p.Links.lifeLeft(ctx, current, consent, p.now); left > p.Links.Lifetime/2 && strings.HasPrefix(current, start) {
		p.wake(p.now.Add(left - p.Links.Lifetime/2))
		return current, nil
	}
	p.wake(p.now.Add(p.Links.Lifetime / 2))
	ticket, err := p.Links.Keyring.SealTicket(seal.Ticket{
		Namespace: p.conn.Namespace,
		Name:      p.conn.Name,
		UID:       string(p.conn.UID),
		Consent:   consent,
		Expires:   p.now.Add(p.Links.Lifetime),
	})
	if err != nil {
		return "", err
	}
	return start + url.Values{"ticket": {ticket}}.Encode(), nil
}

// lifeLeft is zero for everything that is not an address made with a key at hand for the consent
// that is held.
func (l Links) lifeLeft(ctx context.Context, address, consent string, now time.Time) time.Duration {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return 0
	}
	ticket, err := l.Keyring.OpenTicket(ctx, parsed.Query().Get("ticket"), now)
	if err != nil || ticket.Consent != consent {
		return 0
	}
	return ticket.Expires.Sub(now)
}
