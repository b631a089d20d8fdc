// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "context"

// Grant obtains the next token without a person.
type Grant interface {
	// Token returns the next token, or an *Error that says what is needed. held may be nil. A token
	// beside an error is held with a new refresh token in it, and has to be saved as well: the answer
	// had no access token that could be read.
	Token(ctx context.Context, c *Client, held *Token) (*Token, error)
}

// GrantFor finds a grant by its name in the API.
func GrantFor(name string) (Grant, bool) {
	switch name {
	case "AuthorizationCode":
		return AuthorizationCode{}, true
	case "ClientCredentials":
		return ClientCredentials{}, true
	case "DeviceCode":
		return DeviceCode{}, true
	case "JWTBearer":
		return JWTBearer{}, true
	case "TokenExchange":
		return TokenExchange{}, true
	}
	return nil, false
}
