// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var errUnknown = errors.New("unknown, used or expired")

// storage is everything the provider remembers; it implements op.Storage. The files are by life
// cycle: clients, users and keys here, authorization requests in authrequest.go, those of devices in
// device.go, consents and their tokens in tokens.go; grants that rest on others' tokens are in grants.go.
type storage struct {
	options Options
	clients map[string]*registration
	users   map[string]User
	key     signingKey

	mu       sync.Mutex
	requests map[string]*authRequest // by ID
	codes    map[string]string       // request IDs by code
	consents []*consent
	access   map[string]*accessToken  // by the token itself
	refresh  map[string]*refreshToken // by the token itself
	reuses   int

	devices    map[string]*device // by device code
	assertions map[string]bool    // that were used
}

func newStorage(o Options, issuer string) (*storage, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &storage{
		options:  o,
		clients:  map[string]*registration{},
		users:    map[string]User{},
		key:      signingKey{key},
		requests: map[string]*authRequest{},
		codes:    map[string]string{},
		access:   map[string]*accessToken{},
		refresh:  map[string]*refreshToken{},

		devices:    map[string]*device{},
		assertions: map[string]bool{},
	}
	for _, c := range o.Clients {
		s.clients[c.ID] = &registration{Client: c, loginURL: issuer + string(SignIn), internal: newToken()}
	}
	for _, u := range o.Users {
		s.users[u.Name] = u
	}
	return s, nil
}

func (s *storage) now() time.Time { return s.options.Clock.Now() }

// authenticate returns the user of a name and password.
func (s *storage) authenticate(name, password string) (User, bool) {
	user, ok := s.users[name]
	return user, ok && equal(user.Password, password)
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if c, ok := s.clients[id]; ok {
		return c, nil
	}
	return nil, oidc.ErrInvalidClient().WithDescription("unknown client")
}

func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	c, ok := s.clients[id]
	if ok && (c.Secret != "" && equal(c.Secret, secret) || equal(c.internal, secret)) {
		return nil
	}
	return oidc.ErrInvalidClient().WithDescription("wrong client or secret")
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *storage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return s.clients[id], nil
}

func (s *storage) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, user, _ string, _ []string) error {
	u := s.users[user]
	info.Subject, info.PreferredUsername = user, user
	info.Name, info.Email, info.EmailVerified = u.Name, u.Email, u.Email != ""
	setClaims(info, u.Claims)
	return nil
}

// setClaims empties the library's own fields of a name: it lets them win over other claims.
func setClaims(info *oidc.UserInfo, claims map[string]any) {
	for name, value := range claims {
		switch name {
		case "name":
			info.Name = ""
		case "preferred_username":
			info.PreferredUsername = ""
		case "email":
			info.Email = ""
		case "email_verified":
			info.EmailVerified = false
		}
		if value != nil {
			info.AppendClaims(name, value)
		}
	}
}

func (s *storage) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, _, _ string) error {
	held, ok := s.accessToken(token)
	if !ok {
		return errUnknown
	}
	return s.SetUserinfoFromScopes(ctx, info, held.user, "", nil)
}

func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (s *storage) TerminateSession(context.Context, string, string) error { return nil }
func (s *storage) Health(context.Context) error                           { return nil }

func (s *storage) SigningKey(context.Context) (op.SigningKey, error) { return s.key, nil }
func (s *storage) KeySet(context.Context) ([]op.Key, error)          { return []op.Key{publicKey{s.key}}, nil }
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{s.key.SignatureAlgorithm()}, nil
}

type signingKey struct{ private *ecdsa.PrivateKey }

func (signingKey) ID() string                                  { return "1" }
func (signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                  { return k.private }

func (k signingKey) sign(claims any) (string, error) {
	signer, err := op.SignerFromKey(k)
	if err != nil {
		return "", err
	}
	return crypto.Sign(claims, signer)
}

type publicKey struct{ signingKey }

func (publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                         { return k.private.Public() }
