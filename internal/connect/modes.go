// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// Modes are the ways in which the platform team lets people connect accounts.
type Modes struct {
	// Pairing lets kubectl oauth pair a browser on its own machine, and take responses of connections
	// whose redirect is Loopback.
	Pairing bool
	// PairingCode lets people type a code, which a browser elsewhere shows, into kubectl oauth.
	PairingCode bool
	// Device lets people type a code of the provider into the provider's page, with connections whose
	// grant is DeviceCode. There is no other way for those.
	Device bool
	// SignIn lets people sign in to the operator's pages.
	SignIn bool
	// Link is the lifetime of start addresses that let in whoever holds one; zero: there are none.
	Link time.Duration
}

// Allows says whether attempts of a method may be started.
func (m Modes) Allows(method v1alpha1.PairingMethod) bool {
	switch method {
	case v1alpha1.PairingLoopback:
		return m.Pairing
	case v1alpha1.PairingCode:
		return m.PairingCode
	case v1alpha1.PairingDevice:
		return m.Device
	case v1alpha1.PairingSignIn:
		return m.SignIn
	case v1alpha1.PairingLink:
		return m.Link > 0
	}
	return false
}
