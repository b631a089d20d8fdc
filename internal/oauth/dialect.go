// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import "net/http"

// Dialect is where a provider departs from the RFCs. The zero Dialect does not.
type Dialect struct {
	// AuthorizationNames and TokenNames are what the provider calls the protocol's parameters; an empty
	// name leaves a parameter out.
	AuthorizationNames, TokenNames map[string]string
	// Code is the query parameter of the redirect that holds the code; empty means code.
	Code string
	// JSON says that token requests are JSON objects of texts.
	JSON bool
	// Headers are added to token requests.
	Headers map[string]string
	// RefreshGrantType takes the place of refresh_token.
	RefreshGrantType string
	// RepeatRedirectURI and RepeatScope send those once more with a refresh.
	RepeatRedirectURI, RepeatScope bool
	// Read translates an answer of the token endpoint to the names of RFC 6749 section 5; nil where it
	// has them already. What it puts under expires_in and refresh_token_expires_in are seconds. It does
	// not change what it is given.
	Read func(Answer) Reading
	// Revocation is where revocation departs from RFC 7009.
	Revocation Revocation
}

// Answer is what a token endpoint said.
type Answer struct {
	Status int
	Header http.Header
	// Body is the parsed JSON object or form; nil where it is neither.
	Body map[string]any
}

// Reading is an Answer in the words of RFC 6749.
type Reading struct {
	Body map[string]any
	// Issues name the expressions that gave something else than they should, in fixed words.
	Issues []string
}

// Revocation is where revocation departs from RFC 7009.
type Revocation struct {
	// Method is POST where it is empty.
	Method string
	JSON   bool
	// Authentication is Client where it is empty; Basic and Post send the client's secret so, Bearer
	// shows the token itself, None nothing.
	Authentication string
	// AccessToken sends the access token also where a refresh token is held.
	AccessToken bool
	Headers     map[string]string
	Names       map[string]string
}
