// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"encoding/base64"
	"strings"
)

// maxText bounds what UnsealText decodes, in bytes: browsers keep no longer cookies.
const maxText = 4096

// SealText is Seal for addresses and cookies: it returns URL-safe text.
func (k *Keyring) SealText(purpose Purpose, subject string, plaintext []byte) (string, error) {
	sealed, err := k.Seal(purpose, subject, plaintext)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// UnsealText opens what SealText made, and fails as Unseal does. No other text opens as the same.
func (k *Keyring) UnsealText(ctx context.Context, purpose Purpose, subject, text string) ([]byte, error) {
	// The decoder would skip line ends.
	if len(text) > maxText || strings.ContainsAny(text, "\r\n") {
		return nil, ErrUnsealable
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrUnsealable
	}
	return k.Unseal(ctx, purpose, subject, sealed)
}
