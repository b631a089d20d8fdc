// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// maxCookie bounds a cookie's value, in bytes. Browsers keep 4096 of name and value together.
const maxCookie = 3840

// errForeign is a constant in all but name.
var errForeign = errors.New("not sealed for this")

func (p *Provider) seal(purpose seal.Purpose, subject string, plain []byte) (string, error) {
	text, err := p.keyring.SealText(purpose, subject, plain)
	if err != nil {
		return "", unavailable("the cookie cannot be sealed", err)
	}
	return text, nil
}

// unseal fails with errForeign, or with an *Error where the keyset cannot be read.
func (p *Provider) unseal(ctx context.Context, purpose seal.Purpose, subject, cookie string) ([]byte, error) {
	plain, err := p.keyring.UnsealText(ctx, purpose, subject, cookie)
	switch {
	case errors.Is(err, seal.ErrUnsealable):
		return nil, errForeign
	case err != nil:
		return nil, unavailable("the cookie cannot be opened now", err)
	}
	return plain, nil
}
