// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package seal encrypts and authenticates what the operator keeps or hands out: records, browser
// cookies, tickets. All replicas share one keyset; what one seals, another opens.
//
// A sealed text names its key (Tink's output prefix), so keys rotate without downtime: a replica that
// meets a key it does not know reads the keyset again, and every replica does so from time to time.
// Purpose and subject are authenticated with the text, so a ticket never opens as a cookie and one
// connection's record never as another's.
//
// A key that the keyset has lost, be it pruned or by an older backup, still opens records in a process
// that knew it, so that they can be sealed anew. It opens nothing that people hand in: a key is also
// taken out because somebody else has it.
package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/tink"
	"k8s.io/utils/clock"
)

// Purpose separates what is sealed for one use from what is sealed for another. It holds no NUL byte.
type Purpose string

// The uses of the keyset.
const (
	// PurposeRecord is for token records; the subject is the connection's UID.
	PurposeRecord Purpose = "record"
	// PurposeJournal is for records on local disk that the API server has not taken yet.
	PurposeJournal Purpose = "journal"
	// PurposeFlow is for the cookie that carries one authorization flow.
	PurposeFlow Purpose = "flow"
	// PurposeBrowser is for the cookie that tells one browser from all others; the subject is the
	// OAuthAuthorization's UID.
	PurposeBrowser Purpose = "browser"
	// PurposeTicket is for the capability in a Link mode address.
	PurposeTicket Purpose = "ticket"
	// PurposeSignIn is for the cookie that carries one sign-in to the operator's own pages.
	PurposeSignIn Purpose = "sign-in"
	// PurposeSession is for the cookie of a person who is signed in.
	PurposeSession Purpose = "session"
)

// ErrUnsealable says that a text was not sealed by this keyset for this purpose and subject, or was
// changed since. After a rotation it may be up to five seconds out of date.
var ErrUnsealable = errors.New("cannot be unsealed with this keyset")

const (
	// reloadInterval keeps forged texts, which name random keys, from becoming API requests.
	reloadInterval = 5 * time.Second
	// reloadTimeout bounds one read of the keyset.
	reloadTimeout = 10 * time.Second
	// RereadInterval is how long a replica may seal with a key that is not primary any more.
	RereadInterval = 5 * time.Minute
)

// Source reads the current keyset.
type Source func(ctx context.Context) ([]byte, error)

// Keyring seals with the keyset's primary key and opens with any of its keys. It is safe for concurrent
// use. Make one with Open, and have Reread called every RereadInterval.
type Keyring struct {
	source Source
	clock  clock.PassiveClock

	// turn is held by whoever reloads; a channel, so that waiting ends with the caller's context.
	turn chan struct{}

	mu   sync.RWMutex
	keys keys
	// changes counts the keysets that differed from the one before.
	changes int
	// tried and failed are the time and the result of the last reload.
	tried  time.Time
	failed error
}

// keys is a parsed keyset: the primitive is made once, not per call.
type keys struct {
	aead    tink.AEAD
	primary uint32
	ids     map[uint32]bool
	// lost are the keys that former keysets had, each with the primitive of the last one that had it.
	lost map[uint32]tink.AEAD
}

// after adds what former knew and k lacks.
func (k keys) after(former keys) keys {
	k.lost = map[uint32]tink.AEAD{}
	maps.Copy(k.lost, former.lost)
	for id := range former.ids {
		k.lost[id] = former.aead
	}
	maps.DeleteFunc(k.lost, func(id uint32, _ tink.AEAD) bool { return k.ids[id] })
	return k
}

// opener is what opens texts of a key; nil where that is not known. Lost keys open what the operator
// keeps, never what somebody hands in.
func (k keys) opener(id uint32, purpose Purpose) tink.AEAD {
	if k.ids[id] {
		return k.aead
	}
	if purpose == PurposeRecord || purpose == PurposeJournal {
		return k.lost[id]
	}
	return nil
}

// Open reads the keyset for the first time.
func Open(ctx context.Context, source Source) (*Keyring, error) {
	return open(ctx, source, clock.RealClock{})
}

func open(ctx context.Context, source Source, passive clock.PassiveClock) (*Keyring, error) {
	k := &Keyring{source: source, clock: passive, turn: make(chan struct{}, 1)}
	if err := k.reload(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Seal encrypts plaintext for a purpose and a subject, both of which Unseal must be told again.
func (k *Keyring) Seal(purpose Purpose, subject string, plaintext []byte) ([]byte, error) {
	sealed, err := k.current().aead.Encrypt(plaintext, associated(purpose, subject))
	if err != nil {
		return nil, fmt.Errorf("seal a %s: %w", purpose, err)
	}
	return sealed, nil
}

// Unseal opens what Seal made. Where the key is not known it reads the keyset again, at most once in
// five seconds. It fails with ErrUnsealable, or with the reload's error where that is why the key is
// still unknown: then trying again later may help.
func (k *Keyring) Unseal(ctx context.Context, purpose Purpose, subject string, sealed []byte) ([]byte, error) {
	id, ok := KeyID(sealed)
	if !ok {
		return nil, ErrUnsealable
	}
	opener := k.current().opener(id, purpose)
	if opener == nil {
		if err := k.learn(ctx, id); err != nil {
			return nil, err
		}
		if opener = k.current().opener(id, purpose); opener == nil {
			return nil, ErrUnsealable
		}
	}
	plaintext, err := opener.Decrypt(sealed, associated(purpose, subject))
	if err != nil {
		return nil, ErrUnsealable
	}
	return plaintext, nil
}

// Reseal returns what is sealed under the primary key, and fails as Unseal does.
func (k *Keyring) Reseal(ctx context.Context, purpose Purpose, subject string, sealed []byte) ([]byte, error) {
	plaintext, err := k.Unseal(ctx, purpose, subject, sealed)
	if err != nil {
		return nil, err
	}
	return k.Seal(purpose, subject, plaintext)
}

// Stale says whether a text is sealed with another key than the primary one.
func (k *Keyring) Stale(sealed []byte) bool {
	id, ok := KeyID(sealed)
	return !ok || id != k.Primary()
}

// Primary is the number of the key that seals, as KeyID returns it.
func (k *Keyring) Primary() uint32 { return k.current().primary }

// Lost is how many keys this process knows that the keyset does not have any more.
func (k *Keyring) Lost() int { return len(k.current().lost) }

// Changes counts how often the keyset was found to be another one.
func (k *Keyring) Changes() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.changes
}

// Missing says whether the keyset was lost at the last look: everything goes on with the keys in memory.
func (k *Keyring) Missing() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return errors.Is(k.failed, ErrKeysetLost)
}

// Reread takes up what became of the keyset, and has a lost one restored where the source can.
func (k *Keyring) Reread(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return k.reload(ctx)
}

// learn reloads the keyset for a key that is not in it. Callers that waited for another's reload use
// its result.
func (k *Keyring) learn(ctx context.Context, id uint32) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	k.mu.RLock()
	known, due, failed := k.keys.ids[id], k.clock.Since(k.tried) >= reloadInterval, k.failed
	k.mu.RUnlock()
	if known || !due {
		return failed
	}
	return k.reload(ctx)
}

// reload replaces the keys, or keeps them where the new ones cannot be had.
func (k *Keyring) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	fresh, err := k.read(ctx)

	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = k.clock.Now(), err
	if err != nil {
		return err
	}
	if fresh.primary != k.keys.primary || !maps.Equal(fresh.ids, k.keys.ids) {
		k.changes++
	}
	k.keys = fresh.after(k.keys)
	return nil
}

func (k *Keyring) read(ctx context.Context) (keys, error) {
	keyset, err := k.source(ctx)
	if err != nil {
		return keys{}, fmt.Errorf("read the keyset: %w", err)
	}
	handle, err := parse(keyset)
	if err != nil {
		return keys{}, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return keys{}, fmt.Errorf("use the keyset: %w", err)
	}
	ids := map[uint32]bool{}
	for _, info := range handle.KeysetInfo().GetKeyInfo() {
		ids[info.GetKeyId()] = true
	}
	return keys{aead: primitive, primary: handle.KeysetInfo().GetPrimaryKeyId(), ids: ids}, nil
}

func (k *Keyring) current() keys {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys
}

// associated is unambiguous because a purpose holds no NUL.
func associated(purpose Purpose, subject string) []byte {
	return []byte(string(purpose) + "\x00" + subject)
}

// KeyID is the number of the key that sealed a text, as Tink's output prefix has it: 0x01, then four
// bytes, big endian. It is not authenticated before the text is opened.
func KeyID(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:5]), true
}
