// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ClientAuthentication is a way to authenticate at the token endpoint (RFC 6749 section 2.3).
// +kubebuilder:validation:Enum=ClientSecretBasic;ClientSecretPost;PrivateKeyJWT;TLS;ServiceAccountToken;None
type ClientAuthentication string

const (
	// ClientSecretBasic sends the secret by HTTP Basic.
	ClientSecretBasic ClientAuthentication = "ClientSecretBasic"
	// ClientSecretPost sends the secret in the form body.
	ClientSecretPost ClientAuthentication = "ClientSecretPost"
	// ClientAuthenticationPrivateKeyJWT sends an assertion signed with a private key (RFC 7523 section
	// 2.2, OpenID Connect Core section 9).
	ClientAuthenticationPrivateKeyJWT ClientAuthentication = "PrivateKeyJWT"
	// ClientAuthenticationTLS shows a certificate (RFC 8705).
	ClientAuthenticationTLS ClientAuthentication = "TLS"
	// ClientAuthenticationServiceAccountToken sends a short-lived token of a ServiceAccount as the
	// assertion (RFC 7523 section 2.2): there is no secret at all.
	ClientAuthenticationServiceAccountToken ClientAuthentication = "ServiceAccountToken"
	// ClientAuthenticationNone sends the client id only: a public client.
	ClientAuthenticationNone ClientAuthentication = "None"
)

// ClientSpec is a client registration at the provider (RFC 6749 section 2).
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || (self.authentication in ['None', 'ServiceAccountToken']) != has(self.secretRef)",message="secretRef is needed for ClientSecretBasic, ClientSecretPost, PrivateKeyJWT and TLS, and not allowed for ServiceAccountToken and None"
// +kubebuilder:validation:XValidation:rule="has(self.serviceAccountRef) == (has(self.authentication) && self.authentication == 'ServiceAccountToken')",message="serviceAccountRef belongs to authentication ServiceAccountToken, which needs it"
// +kubebuilder:validation:XValidation:rule="(!has(self.keyID) && !has(self.algorithm)) || (has(self.authentication) && self.authentication == 'PrivateKeyJWT')",message="keyID and algorithm belong to authentication PrivateKeyJWT"
type ClientSpec struct {
	// ID is the client identifier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[\x20-\x7E]+$`
	ID string `json:"id"`
	// Authentication is how the client authenticates. The default is the provider's way, or None
	// where there is no secretRef.
	// +optional
	Authentication ClientAuthentication `json:"authentication,omitempty"`
	// SecretRef is the key that holds the client secret: in the connection's or OAuthProvider's own
	// namespace, or, for a ClusterOAuthProvider, in the operator's. For PrivateKeyJWT it holds the
	// private key, as PEM or JWK; for TLS the Secret is of type kubernetes.io/tls and key is not
	// looked at.
	// +optional
	SecretRef *SecretKeyRef `json:"secretRef,omitempty"`
	// KeyID is the kid in the header of assertions, as the provider knows the key.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	KeyID string `json:"keyID,omitempty"`
	// Algorithm signs the assertions. The default suits the key: RS256, ES256, ES384, ES512 or EdDSA.
	// +optional
	// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
	Algorithm string `json:"algorithm,omitempty"`
	// ServiceAccountRef is whose token is the assertion: of a ServiceAccount in the namespace that
	// secretRef would be in.
	// +optional
	ServiceAccountRef *ServiceAccountRef `json:"serviceAccountRef,omitempty"`
}

// ServiceAccountRef asks the API server for short-lived tokens of a ServiceAccount. The operator has to
// be allowed to create serviceaccounts/token for it by name. There is no namespace on purpose.
type ServiceAccountRef struct {
	// Name of the ServiceAccount.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// Audience of the tokens: how the provider calls itself, such as api://AzureADTokenExchange. A
	// token that the API server itself would accept is never sent anywhere.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience"`
}

// SecretKeyRef is a key of a Secret. There is no namespace on purpose.
type SecretKeyRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// Key within the Secret.
	// +optional
	// +kubebuilder:default=client-secret
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// TokenKeyRef is a key of a Secret that holds a token. There is no namespace on purpose.
type TokenKeyRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// Key within the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}
