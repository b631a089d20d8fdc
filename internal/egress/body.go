// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"io"
)

// ErrTooLarge is what reading an answer longer than 64 KiB (after decompression) fails with.
var ErrTooLarge = errors.New("the answer is longer than 64 KiB")

// cappedBody fails instead of ending early, so that a cut answer is never parsed as a whole one.
type cappedBody struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	// One byte more than is allowed tells a body that ends at the limit from one that goes on.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if int64(n) <= b.left {
		b.left -= int64(n)
		return n, err
	}
	n = int(b.left)
	b.left = -1
	return n, ErrTooLarge
}

// Close implements io.Closer.
func (b *cappedBody) Close() error { return b.body.Close() }
