// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that must not be seen: a token, a client secret, an authorization code. It
// redacts itself wherever it is printed or marshalled, so it cannot be stored by accident either:
// use Reveal. Compare with Equal; the zero value is empty.
type Secret struct {
	_ [0]func() // == would compare the pointer
	// A pointer, because fmt prints the unexported fields of an outer struct without asking them.
	value *string
}

// NewSecret wraps a text. The empty text gives the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{value: &text}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero says whether the text is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Hash returns the SHA-256 of the text in hexadecimal.
func (s Secret) Hash() string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// String returns a fixed text.
func (s Secret) String() string { return redacted }

// Format writes a fixed text for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue gives slog a fixed text.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText gives encoders (JSON, YAML, flags) a fixed text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
