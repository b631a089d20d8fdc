// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth is the protocol: what is sent to an authorization server, what its answers mean, and
// when a token is due. It knows nothing of Kubernetes.
//
//	AuthorizationURL → the person consents → Exchange → Token
//	Grant.Token: the next token without a person (Refresh, or client credentials)
//	DueAt, Backoff: when
//
// A refresh token is often spent the moment the provider answers. So one call is one POST: no retry,
// no redirect, not cut short by the caller's context; and the answer is read as leniently as can be,
// because a token that is refused here for its form is lost. Whatever goes wrong is an *Error, whose
// Kind alone decides what follows.
package oauth
