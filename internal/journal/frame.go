// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
)

// ErrTorn says that a file was not written to its end, or is damaged: nothing can be had from it.
var ErrTorn = errors.New("the file is torn")

const frameSize = sha256.Size

// frame puts the content's hash before it. A seal would notice a torn file as well; the hash tells it
// from one whose key is lost and may come back.
func frame(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(sum[:], content...)
}

// unframe returns what frame was given.
func unframe(raw []byte) ([]byte, error) {
	if len(raw) < frameSize {
		return nil, ErrTorn
	}
	content := raw[frameSize:]
	if sum := sha256.Sum256(content); !bytes.Equal(sum[:], raw[:frameSize]) {
		return nil, ErrTorn
	}
	return content, nil
}
