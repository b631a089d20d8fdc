// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// link is Link mode's start: whoever holds a ticket may connect. It notes nothing anywhere.
func (s *Server) link(ctx context.Context, v *visit) (*answer, error) {
	ticket := v.URL.Query().Get("ticket")
	target, err := s.admit(ctx, v, ticket)
	if err != nil {
		return nil, err
	}
	return s.showConsent(target, "", pass{"ticket", ticket}), nil
}

// followLink is the person's yes to what link has shown.
func (s *Server) followLink(ctx context.Context, v *visit) (*answer, error) {
	target, err := s.admit(ctx, v, v.PostForm.Get("ticket"))
	if err != nil {
		return nil, err
	}
	if err := v.agreed(target); err != nil {
		return nil, err
	}
	attempt, err := s.Create(ctx, target.Connection, v1alpha1.PairingLink, "")
	if err != nil {
		return nil, err
	}
	return s.sendToProvider(ctx, v, target, attempt)
}

// admit opens a ticket and finds what it is for. Without a good ticket every answer is the same:
// visitors do not learn which connections exist.
func (s *Server) admit(ctx context.Context, v *visit, text string) (*connect.Target, error) {
	ticket, err := s.Keyring.OpenTicket(ctx, text, s.Clock.Now())
	if !s.Modes.Allows(v1alpha1.PairingLink) || err != nil ||
		ticket.Namespace != v.PathValue("namespace") || ticket.Name != v.PathValue("name") {
		return nil, connect.Refuse(noTicket)
	}
	target, err := s.Target(ctx, v.about, types.UID(ticket.UID))
	if err != nil {
		return nil, err
	}
	consent, err := s.consentHeld(ctx, target.Connection)
	if err != nil {
		return nil, err
	}
	if consent != ticket.Consent {
		return nil, connect.Refuse(noTicket)
	}
	return target, hosted(target)
}

// consentHeld is the UID of the consent in the live record, empty where there is none. A ticket made
// before it was used already: it stands in a browser's history and a proxy's log.
func (s *Server) consentHeld(ctx context.Context, conn *v1alpha1.OAuthConnection) (string, error) {
	record, err := s.Store.Get(ctx, tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID})
	if errors.Is(err, tokenstore.ErrNotFound) || errors.Is(err, seal.ErrUnsealable) {
		return "", nil
	}
	if err != nil {
		return "", connect.RefuseFor(connect.Unavailable, err)
	}
	return string(record.Authorization), nil
}
