// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/http"
	"time"
)

// Token is one answer of a token endpoint (RFC 6749 section 5.1).
type Token struct {
	AccessToken  Secret
	RefreshToken Secret
	// TokenType is "Bearer" where the provider says bearer in any case or nothing; else as answered.
	TokenType string
	// Obtained is when the answer arrived.
	Obtained time.Time
	// Expiry of the access token; zero where neither the provider nor TokenLifetime says it.
	Expiry time.Time
	// RefreshTokenExpiry is zero where the provider does not say it.
	RefreshTokenExpiry time.Time
	// Extended says that the refresh before moved RefreshTokenExpiry on: renewed in time it never comes.
	Extended bool
	// Scopes that were granted. Without scope in the answer: those asked for.
	Scopes []string
	// Issues tell what of the answer could not be read as the provider's description says, in fixed
	// words.
	Issues []string
	// IDToken of this answer. It is not kept.
	IDToken Secret `json:"-"`
	// Body is the parsed answer, as it came, and Header its header. They are not kept and not logged.
	Body   map[string]any `json:"-"`
	Header http.Header    `json:"-"`
}
