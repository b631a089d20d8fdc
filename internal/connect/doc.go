// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connect carries an attempt to connect an account from "somebody may" to "saved". An attempt
// is an OAuthAuthorization. Its steps, a file each, are the same whichever way the provider's response
// comes back, by a browser at the callback server, by kubectl oauth on the OAuthAuthorization, or at a poll:
//
//	target.go    which connection, provider and client, and can an account be connected now?
//	attempt.go   the OAuthAuthorization: created, admitted, claimed once, completed
//	flow.go      the authorization request: state, verifier, nonce; sealed, never in memory
//	settle.go    the response: verified without consuming anything, claimed, exchanged
//	device.go    instead of these two, a code that is typed in at the provider: asked for, polled
//	accept.go    the token: whose it is, saved
//	verdict.go   the words for every way in which a step ends
//
// Who may start, and whose browser it is, is for the callers to find out before.
package connect
