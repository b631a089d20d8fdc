// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/seal"
)

const (
	// SessionLifetime is how long somebody stays signed in. It also bounds for how long the operator
	// believes in groups that the provider has taken away.
	SessionLifetime = 15 * time.Minute
	// maxSession bounds a session's text before compression, in bytes.
	maxSession = 64 << 10
)

// session is what the cookie holds: no token. Texts that people choose are compressed, which is
// harmless because no secret stands next to them.
type session struct {
	Username string    `json:"user"`
	Groups   []string  `json:"groups,omitempty"`
	Issued   time.Time `json:"iat"`
	Expires  time.Time `json:"exp"`
}

// SealSession returns the value of a session cookie, good for SessionLifetime. The error is an
// *Error: TooManyGroups where a browser would not keep the cookie; groups are never left out, as
// the person would be told no for reasons that nobody sees.
func (p *Provider) SealSession(id Identity) (string, error) {
	now := p.clock.Now().UTC().Truncate(time.Second)
	plain, err := json.Marshal(session{id.Username, id.Groups, now, now.Add(SessionLifetime)})
	if err != nil {
		return "", unavailable("the session cannot be encoded", err)
	}
	if len(plain) > maxSession {
		return "", fail(TooManyGroups, "the groups are too many for a session")
	}
	value, err := p.seal(seal.PurposeSession, p.subject, deflate(plain))
	if err != nil {
		return "", err
	}
	if len(value) > maxCookie {
		return "", fail(TooManyGroups, "the groups are too many for a cookie")
	}
	return value, nil
}

// OpenSession returns who is signed in. The error is an *Error: SignedOut for a value that is
// missing, over, changed, or sealed for anything else or under another configuration; Unavailable.
func (p *Provider) OpenSession(ctx context.Context, cookie string) (Identity, error) {
	compressed, err := p.unseal(ctx, seal.PurposeSession, p.subject, cookie)
	if err != nil {
		return Identity{}, asKind(err, SignedOut, "there is no session")
	}
	var s session
	if err := inflate(compressed, &s); err != nil {
		return Identity{}, fail(SignedOut, "there is no session")
	}
	if now := p.clock.Now(); !now.Before(s.Expires) {
		return Identity{}, fail(SignedOut, "the session is over")
	}
	return Identity{Username: s.Username, Groups: s.Groups}, nil
}

// deflate cannot fail: it writes to memory, at a level that exists.
func deflate(plain []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	_, _ = w.Write(plain)
	_ = w.Close()
	return out.Bytes()
}

func inflate(compressed []byte, into any) error {
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(compressed)), maxSession))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}
