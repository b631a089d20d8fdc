// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signin makes the operator an OpenID Connect relying party for its own pages, and asks the
// cluster whether the person who signed in may connect accounts.
//
//	Begin          a state, a PKCE verifier and a nonce, sealed into a cookie of this browser
//	  │
//	provider       the person signs in (OpenID Connect Core section 3.1)
//	  │
//	Finish         cookie, state, iss; code for ID token; signature, issuer, audience, nonce;
//	  │            username and groups by kube-apiserver's rules (claims.go)
//	SealSession    the person, for fifteen minutes, sealed into a cookie
//	  │
//	OpenSession    on any replica: nothing is held in memory between requests
//	  │
//	MayConnect     SubjectAccessReview: create oauthauthorizations in the namespace
//
// The username must come out as the API server itself sees it, so the claims and prefixes are those
// of kube-apiserver's --oidc flags, with the same defaults. No token is kept. Callers own routes,
// cookies and pages.
package signin
