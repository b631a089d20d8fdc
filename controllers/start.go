// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// Starts says how people start to connect an account.
type Starts struct {
	Modes   connect.Modes
	Keyring *seal.Keyring
	// PublicURL is the address of the callback server as browsers see it.
	PublicURL string
}

// startAddress is where a person starts to consent by browser alone; empty while none is needed, and
// where kubectl oauth is the way. With web sign-in it lets nobody in by itself. In Link mode it does:
// whoever holds it may connect an account.
func (p *pass) startAddress(ctx context.Context) (string, error) {
	if !p.personNeeded || p.conn.Spec.Redirect == v1alpha1.RedirectLoopback || p.conn.Spec.Grant == v1alpha1.GrantDeviceCode || p.Starts.PublicURL == "" {
		return "", nil
	}
	start, err := url.JoinPath(p.Starts.PublicURL, "connect", p.conn.Namespace, p.conn.Name)
	switch {
	case err != nil:
		return "", err
	case p.Starts.Modes.Link > 0:
		return p.ticketAddress(ctx, start+"?")
	case p.Starts.Modes.SignIn:
		return start, nil
	}
	return "", nil
}

// ticketAddress is a start address of Link mode: sealed and short-lived. The one in status is kept for
// the first half of its life, so that looking does not write.
func (p *pass) ticketAddress(ctx context.Context, start string) (string, error) {
	lifetime := p.Starts.Modes.Link
	current, consent := p.conn.Status.AuthorizationURL, ""
	if p.record != nil {
		consent = string(p.record.Authorization)
	}
	if left := p.Starts.lifeLeft(ctx, current, consent, p.now); left > lifetime/2 && strings.HasPrefix(current, start) {
		p.wake(p.now.Add(left - lifetime/2))
		return current, nil
	}
	p.wake(p.now.Add(lifetime / 2))
	ticket, err := p.Starts.Keyring.SealTicket(seal.Ticket{
		Namespace: p.conn.Namespace,
		Name:      p.conn.Name,
		UID:       string(p.conn.UID),
		Consent:   consent,
		Expires:   p.now.Add(lifetime),
	})
	if err != nil {
		return "", err
	}
	return start + url.Values{"ticket": {ticket}}.Encode(), nil
}

// lifeLeft is zero for everything that is not an address made with a key at hand for the consent
// that is held.
func (s Starts) lifeLeft(ctx context.Context, address, consent string, now time.Time) time.Duration {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return 0
	}
	ticket, err := s.Keyring.OpenTicket(ctx, parsed.Query().Get("ticket"), now)
	if err != nil || ticket.Consent != consent {
		return 0
	}
	return ticket.Expires.Sub(now)
}
