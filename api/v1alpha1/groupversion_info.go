// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API that people write: OAuthConnection, the provider kinds and
// OAuthAuthorization. It imports apimachinery only, so that other programs can use it as a client.
//
// +kubebuilder:object:generate=true
// +groupName=oauth-operator.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "oauth-operator.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&OAuthConnection{}, &OAuthConnectionList{},
		&OAuthProvider{}, &OAuthProviderList{},
		&ClusterOAuthProvider{}, &ClusterOAuthProviderList{},
		&OAuthAuthorization{}, &OAuthAuthorizationList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
