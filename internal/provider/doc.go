// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider turns what people write about a provider and a client into an oauth.Client.
//
//	preset (catalog/*.yaml) < the object behind providerRef, or the inline provider
//	  → parameters fill the placeholders
//	  → discovery fills what is empty
//	  → the client's Secret is read live
//
// Everything but the Secret is cached: a connection is resolved at each of its refreshes.
package provider
