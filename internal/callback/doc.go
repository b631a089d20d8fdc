// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package callback serves the pages on which a person connects an account.
//
//	GET  /connect/{namespace}/{name}?ticket=…  start.go     who may start: Link mode
//	                                             │          consent.go shows what is about to happen
//	POST /connect/{namespace}/{name}             │          consent.go notes the attempt, seals the
//	                                             ▼          flow into a cookie, sends to the provider
//	                                          provider
//	                                             │
//	GET  /callback/ns/{namespace}/{name}       ──┤          callback.go
//	GET  /callback/provider/{namespace}/{name} ──┤            1. verify: cookie, state, path, iss,
//	GET  /callback/cluster/{name}              ──┘               fingerprint; consumes nothing
//	                                                        claim.go
//	                                                          2. claim: once, by compare-and-swap
//	                                                        exchange.go
//	                                                          3. exchange the code, save, say so
//
// Nothing is held in memory between requests: any replica serves the next step. Another way to start
// needs a route that finds out who the person is and then calls showConsent and sendToProvider; the
// callback asks only for the cookie and the OAuthAuthorization.
//
// Every page is a fixed text of texts.go. Nothing that a browser or a provider sends is repeated,
// except names that have been looked up or have the form of Kubernetes names.
package callback
