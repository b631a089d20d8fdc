// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// errKeyset has no cause: a parser's message may quote the keyset.
var errKeyset = errors.New("the keyset is not a Tink AEAD keyset in JSON")

// NewKeyset makes a keyset of one fresh key, as cleartext JSON of Tink.
func NewKeyset() ([]byte, error) { return addKey(keyset.NewManager()) }

// Rotate adds a fresh key to a keyset and makes it primary. What the old keys sealed still opens.
func Rotate(old []byte) ([]byte, error) {
	handle, err := parse(old)
	if err != nil {
		return nil, err
	}
	return addKey(keyset.NewManagerFromHandle(handle))
}

// Prune drops all keys but the primary one.
func Prune(old []byte) ([]byte, error) {
	handle, err := parse(old)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, id := range others(handle) {
		if err := manager.Delete(id); err != nil {
			return nil, fmt.Errorf("drop a key: %w", err)
		}
	}
	return written(manager)
}

// Others are the numbers of all keys but the primary one, as KeyID returns them.
func Others(raw []byte) ([]uint32, error) {
	handle, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return others(handle), nil
}

func others(handle *keyset.Handle) (ids []uint32) {
	info := handle.KeysetInfo()
	for _, key := range info.GetKeyInfo() {
		if id := key.GetKeyId(); id != info.GetPrimaryKeyId() {
			ids = append(ids, id)
		}
	}
	return ids
}

// addKey adds an X-AES-GCM key: with 192-bit nonces drawn at random no number of records is too many,
// where AES-GCM's 96 bits end at 2^32.
func addKey(manager *keyset.Manager) ([]byte, error) {
	id, err := manager.Add(aead.XAES256GCM192BitNonceKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("make a key primary: %w", err)
	}
	return written(manager)
}

func written(manager *keyset.Manager) ([]byte, error) {
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("make a keyset: %w", err)
	}
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		return nil, fmt.Errorf("write a keyset: %w", err)
	}
	return out.Bytes(), nil
}

func parse(raw []byte) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errKeyset
	}
	return handle, nil
}
