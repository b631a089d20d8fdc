// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrExpired says that a ticket was genuine and is too old.
var ErrExpired = errors.New("the ticket has expired")

// Ticket lets whoever holds it start the authorization of one connection (Link mode).
type Ticket struct {
	Namespace string `json:"ns"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// Consent is the UID of the consent that is held, empty where there is none. A new consent ends
	// the ticket: it is good for one.
	Consent string    `json:"consent,omitempty"`
	Expires time.Time `json:"exp"`
}

// SealTicket returns the ticket as URL-safe text.
func (k *Keyring) SealTicket(t Ticket) (string, error) {
	plaintext, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("encode a ticket: %w", err)
	}
	return k.SealText(PurposeTicket, "", plaintext)
}

// OpenTicket returns the ticket behind text. It fails with ErrUnsealable, ErrExpired (from Expires on),
// or as Unseal does.
func (k *Keyring) OpenTicket(ctx context.Context, text string, now time.Time) (Ticket, error) {
	plaintext, err := k.UnsealText(ctx, PurposeTicket, "", text)
	if err != nil {
		return Ticket{}, err
	}
	var t Ticket
	if err := json.Unmarshal(plaintext, &t); err != nil {
		return Ticket{}, ErrUnsealable
	}
	if !now.Before(t.Expires) {
		return Ticket{}, ErrExpired
	}
	return t, nil
}
