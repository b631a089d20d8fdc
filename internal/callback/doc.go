// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package callback serves the pages on which a person connects an account.
//
//	GET  /authorize/{namespace}/{attempt}   pairing.go   kubectl oauth connect: this browser meets the
//	                                                     plugin of who asked, and no other does
//	GET  /connect/{namespace}/{name}        signin.go    web sign-in: the cluster is asked who may
//	GET  /connect/…?ticket=…                link.go      Link mode: whoever holds a ticket
//	                      │
//	                      ├── consent.go shows what is about to happen
//	POST to the same path │
//	                      ├── consent.go notes the state's hash on the attempt, seals the flow into a
//	                      ▼   cookie, sends to the provider
//	                   provider
//	                      │
//	GET  /callback/ns/{namespace}/{name}       ──┐
//	GET  /callback/provider/{namespace}/{name} ──┤   callback.go: cookie, state and path; the rest is
//	GET  /callback/cluster/{name}              ──┘   internal/connect: verify, claim once, exchange, save
//
// Nothing is held in memory between requests: any replica serves the next step. Another way to start
// needs a route that finds out who the person is and then calls showConsent and sendToProvider.
//
// Every page is a fixed text of texts.go and signin.go. Nothing that a browser or a provider sends is
// repeated, except names that have been looked up or have the form of Kubernetes names.
package callback
