// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuthAuthorizationSpec is one attempt of one person to connect one connection.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an OAuthAuthorization is written once"
type OAuthAuthorizationSpec struct {
	// Connection is the name of the OAuthConnection in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Connection string `json:"connection"`
}

// OAuthAuthorizationStatus is how far the attempt came.
type OAuthAuthorizationStatus struct {
	// Conditions hold Completed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// StateHash is the SHA-256 of the state parameter, in hexadecimal. The state itself is only in
	// the browser.
	// +optional
	StateHash string `json:"stateHash,omitempty"`
	// ExpiresAt is when the attempt can no longer be finished.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// ClaimedAt is when a callback used the state. It can be set once.
	// +optional
	ClaimedAt *metav1.Time `json:"claimedAt,omitempty"`
}

// OAuthAuthorization is one attempt of one person to connect one connection. It lives for ten
// minutes. The right to create it in a namespace is the right to connect accounts there.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=oaa,categories=oauth
// +kubebuilder:printcolumn:name="Connection",type=string,JSONPath=`.spec.connection`
// +kubebuilder:printcolumn:name="Completed",type=string,JSONPath=`.status.conditions[?(@.type=="Completed")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Completed")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type OAuthAuthorization struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +required
	Spec OAuthAuthorizationSpec `json:"spec"`
	// +optional
	Status OAuthAuthorizationStatus `json:"status,omitempty"`
}

// OAuthAuthorizationList is a list of OAuthAuthorization.
//
// +kubebuilder:object:root=true
type OAuthAuthorizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthAuthorization `json:"items"`
}
