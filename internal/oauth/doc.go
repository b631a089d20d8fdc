// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth is the protocol: what is sent to an authorization server, what its answers mean, and
// when a token is due. It knows nothing of Kubernetes.
//
//	Authorize → the person consents → ParseResponse → Exchange → Token
//	AskDevice → the person consents somewhere → PollDevice → Token
//	Grant.Token: the next token without a person; one grant, one file
//	Revoke, Introspect: of a token
//	DueAt, GrantEnds, Backoff: when
//
// Requests are made in the words of the RFCs and translated on their way out (wording); answers of the
// token endpoint are translated on their way in (Dialect.Read).
//
// A refresh token is often spent the moment the provider answers. So one call is one POST: no retry,
// no redirect, not cut short by the caller's context; and the answer is read as leniently as can be,
// because a token that is refused here for its form is lost. Whatever goes wrong is an *Error, whose
// Kind alone decides what follows.
package oauth
