// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrExpired says that a ticket was genuine and is too old.
var ErrExpired = errors.New("the ticket has expired")

// maxTicket bounds a ticket's text, in bytes, before any of it is decoded: the longest names fit twice.
const maxTicket = 2048

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
	sealed, err := k.Seal(PurposeTicket, "", plaintext)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// OpenTicket returns the ticket behind text. It fails with ErrUnsealable, ErrExpired (from Expires on),
// or as Unseal does.
func (k *Keyring) OpenTicket(ctx context.Context, text string, now time.Time) (Ticket, error) {
	// The decoder would skip line ends: one ticket, one text.
	if len(text) > maxTicket || strings.ContainsAny(text, "\r\n") {
		return Ticket{}, ErrUnsealable
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Ticket{}, ErrUnsealable
	}
	plaintext, err := k.Unseal(ctx, PurposeTicket, "", sealed)
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
