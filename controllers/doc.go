// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers holds the reconcilers. OAuthConnection's walks four steps, a file each; the
// first error ends the walk, except that a token already held is published all the same:
//
//	resolve    ClientResolved    do provider, client and keys exist and agree?
//	authorize  Authorized        is there a grant for this client and these scopes?
//	renew      TokenFresh        is a renewal due?
//	publish    SecretPublished   does the target Secret say what it should?
//
// A step returns a *stop that carries reason, message and when to look again. status.go alone
// turns these into conditions, events and the requeue.
package controllers
