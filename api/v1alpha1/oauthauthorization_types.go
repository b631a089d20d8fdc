// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuthAuthorizationSpec is one attempt of one person to connect one connection. What is set stays:
// browser and response can be added once.
// +kubebuilder:validation:XValidation:rule="self.connection == oldSelf.connection && self.method == oldSelf.method && has(self.requester) == has(oldSelf.requester) && (!has(self.requester) || self.requester == oldSelf.requester) && has(self.loopback) == has(oldSelf.loopback) && (!has(self.loopback) || self.loopback == oldSelf.loopback)",message="an OAuthAuthorization is written once: make another one"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.browser) || (has(self.browser) && self.browser == oldSelf.browser)",message="browser is written once: make another OAuthAuthorization"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.response) || (has(self.response) && self.response == oldSelf.response)",message="response is written once: make another OAuthAuthorization"
// +kubebuilder:validation:XValidation:rule="has(self.loopback) == (self.method == 'Loopback')",message="loopback belongs to method Loopback, and is needed there"
// +kubebuilder:validation:XValidation:rule="!has(self.browser) || self.method == 'Loopback' && has(self.browser.hash) && has(self.browser.proofHash) && !has(self.browser.code) || self.method == 'Code' && has(self.browser.code) && !has(self.browser.hash) && !has(self.browser.proofHash)",message="browser has hash and proofHash with method Loopback, and code with method Code"
type OAuthAuthorizationSpec struct {
	// Connection is the name of the OAuthConnection in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Connection string `json:"connection"`
	// Requester is the Kubernetes user who asks. The policy oauth-operator-requester holds it to the
	// user of the request. It is empty with method Link, where nobody is known.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Requester string `json:"requester,omitempty"`
	// Method is how the requester's browser is told from everybody else's.
	// +optional
	// +kubebuilder:default=Loopback
	Method PairingMethod `json:"method,omitempty"`
	// Loopback is where kubectl oauth listens for the browser.
	// +optional
	Loopback *Loopback `json:"loopback,omitempty"`
	// Browser is the browser that the requester's kubectl oauth has met.
	// +optional
	Browser *PairedBrowser `json:"browser,omitempty"`
	// Response is what the provider sent to the loopback address, with a connection whose redirect is
	// Loopback.
	// +optional
	Response *AuthorizationResponse `json:"response,omitempty"`
}

// PairingMethod says how the requester's browser is told from everybody else's.
// +kubebuilder:validation:Enum=Loopback;Code;Device;SignIn;Link
type PairingMethod string

const (
	// PairingLoopback means that the browser reaches kubectl oauth on the same machine.
	PairingLoopback PairingMethod = "Loopback"
	// PairingCode means that the requester types a code, which the browser shows, into the terminal.
	PairingCode PairingMethod = "Code"
	// PairingSignIn means that the requester has signed in to the operator's pages. The operator
	// creates these.
	PairingSignIn PairingMethod = "SignIn"
	// PairingDevice means that the requester types status.userCode into a page of the provider (RFC
	// 8628), with any browser. It is for connections with grant DeviceCode, and the only one for them.
	PairingDevice PairingMethod = "Device"
	// PairingLink means that whoever held a ticket was let in. The operator creates these.
	PairingLink PairingMethod = "Link"
)

// Loopback is a listener on the requester's own machine (RFC 8252 section 7.3).
type Loopback struct {
	// Address of the listener.
	// +optional
	// +kubebuilder:default="127.0.0.1"
	// +kubebuilder:validation:Enum="127.0.0.1";"::1"
	Address string `json:"address,omitempty"`
	// Port of the listener.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// PairedBrowser tells one browser from all others. It holds hashes, so that reading it is of no use.
type PairedBrowser struct {
	// Hash is the SHA-256, in hexadecimal, of the cookie that the operator gave to the browser.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	Hash string `json:"hash,omitempty"`
	// ProofHash is the SHA-256, in hexadecimal, of what kubectl oauth gave to the browser: who was
	// only sent to the loopback address by somebody else cannot show it together with the cookie.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	ProofHash string `json:"proofHash,omitempty"`
	// Code is what the browser showed, as the requester typed it.
	// +optional
	// +kubebuilder:validation:MaxLength=9
	// +kubebuilder:validation:Pattern=`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`
	Code string `json:"code,omitempty"`
}

// AuthorizationResponse is what a provider sends back (RFC 6749 sections 4.1.2 and 4.1.2.1), without
// the state: that is made and compared by kubectl oauth and leaves it only for the provider. The code
// is of no use without the verifier (RFC 7636), which stays with the operator.
// +kubebuilder:validation:XValidation:rule="has(self.code) != has(self.error)",message="exactly one of code and error is needed"
type AuthorizationResponse struct {
	// Code is the authorization code.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Code string `json:"code,omitempty"`
	// Issuer is the response's iss parameter (RFC 9207).
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`
	// Parameters are what else the provider sent, for the metadata of its description.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 1024)",message="a parameter has at most 64 characters in its name and 1024 in its value"
	Parameters map[string]string `json:"parameters,omitempty"`
	// Error is the error code.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`
	Error string `json:"error,omitempty"`
}

// OAuthAuthorizationStatus is how far the attempt came.
type OAuthAuthorizationStatus struct {
	// Conditions hold Completed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// AuthorizationURL is where the requester's browser starts. It is no capability: with method
	// Loopback or Code the browser has to be paired, and with redirect Loopback the state, which
	// kubectl oauth adds, is missing.
	// +optional
	AuthorizationURL string `json:"authorizationURL,omitempty"`
	// UserCode is what the requester types in at VerificationURI, with method Device. It connects the
	// account of whoever types it in.
	// +optional
	UserCode string `json:"userCode,omitempty"`
	// VerificationURI is the provider's page for UserCode.
	// +optional
	VerificationURI string `json:"verificationURI,omitempty"`
	// VerificationURIComplete is VerificationURI with the code filled in, where the provider has that.
	// +optional
	VerificationURIComplete string `json:"verificationURIComplete,omitempty"`
	// SealedFlow is what the operator has to know again when the provider's response arrives, with
	// redirect Loopback and with method Device. Only the operator can open it.
	// +optional
	SealedFlow string `json:"sealedFlow,omitempty"`
	// StateHash is the SHA-256 of the state parameter, in hexadecimal. The state itself is only in
	// the browser.
	// +optional
	StateHash string `json:"stateHash,omitempty"`
	// ExpiresAt is when the attempt can no longer be finished.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// ClaimedAt is when a response used the attempt. It can be set once.
	// +optional
	ClaimedAt *metav1.Time `json:"claimedAt,omitempty"`
	// Account that was connected.
	// +optional
	Account string `json:"account,omitempty"`
}

// OAuthAuthorization is one attempt of one person to connect one connection. It lives for ten
// minutes. The right to create it in a namespace is the right to connect accounts there.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=oaa,categories=oauth
// +kubebuilder:printcolumn:name="Connection",type=string,JSONPath=`.spec.connection`
// +kubebuilder:printcolumn:name="Requester",type=string,JSONPath=`.spec.requester`
// +kubebuilder:printcolumn:name="Completed",type=string,JSONPath=`.status.conditions[?(@.type=="Completed")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Completed")].reason`
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="User Code",type=string,JSONPath=`.status.userCode`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Method",type=string,priority=1,JSONPath=`.spec.method`
// +kubebuilder:printcolumn:name="Account",type=string,priority=1,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Completed")].message`
type OAuthAuthorization struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +required
	Spec OAuthAuthorizationSpec `json:"spec"`
	// +optional
	Status OAuthAuthorizationStatus `json:"status,omitempty"`
}

// GenerateNameFor is metadata.generateName of a connection's attempts. It leaves room for what the API
// server appends, and has no dash after a dot, which no name may have.
func GenerateNameFor(connection string) string {
	const room = 200
	if len(connection) > room {
		connection = strings.TrimRight(connection[:room], ".")
	}
	return connection + "-"
}

// OAuthAuthorizationList is a list of OAuthAuthorization.
//
// +kubebuilder:object:root=true
type OAuthAuthorizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthAuthorization `json:"items"`
}
