// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProviderSpec describes an OAuth 2.0 authorization server. It is the one schema for all places
// where a provider is described: inline in a connection, in both provider kinds and in every file
// of the built-in catalogue. What is set here overrides the preset; what neither sets comes from
// discovery.
// +kubebuilder:validation:XValidation:rule="has(self.preset) || has(self.issuer) || (has(self.endpoints) && has(self.endpoints.token))",message="one of preset, issuer and endpoints.token is needed"
type ProviderSpec struct {
	// Preset names an entry of the built-in catalogue to start from.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Preset string `json:"preset,omitempty"`

	// Parameters are the values of the placeholders that the preset declares, such as tenant,
	// region or host.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 253)",message="a parameter has at most 63 characters in its name and 253 in its value"
	Parameters map[string]string `json:"parameters,omitempty"`

	// Issuer is the issuer identifier (RFC 8414, OpenID Connect Discovery). The metadata found
	// there must name exactly this issuer.
	// +optional
	Issuer EndpointURL `json:"issuer,omitempty"`

	// Endpoints are the provider's addresses. What is set wins over the preset and discovery.
	// +optional
	Endpoints *Endpoints `json:"endpoints,omitempty"`

	// ClientAuthentication is how clients authenticate at the token endpoint, where the client
	// does not say so itself. The default is ClientSecretBasic.
	// +optional
	ClientAuthentication ClientAuthentication `json:"clientAuthentication,omitempty"`

	// PKCE is the proof key method (RFC 7636). The default is S256; None is for the few providers
	// that reject it.
	// +optional
	// +kubebuilder:validation:Enum=S256;None
	PKCE string `json:"pkce,omitempty"`

	// Scopes says how this provider takes scopes.
	// +optional
	Scopes *ScopeRules `json:"scopes,omitempty"`

	// AuthorizationParams are added to every authorization request.
	// +optional
	AuthorizationParams RequestParams `json:"authorizationParams,omitempty"`

	// TokenParams are added to every token request.
	// +optional
	TokenParams RequestParams `json:"tokenParams,omitempty"`

	// RefreshParams are added to every refresh request.
	// +optional
	RefreshParams RequestParams `json:"refreshParams,omitempty"`

	// Refresh says how this provider's refresh tokens behave.
	// +optional
	Refresh *RefreshRules `json:"refresh,omitempty"`

	// Account is a CEL expression over idToken, userInfo and body (the token response) that gives
	// the name of the account that consented, for example idToken.email.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Account string `json:"account,omitempty"`
}

// EndpointURL is an absolute http or https address without user and fragment. The operator
// connects to https only, unless it was started with --allow-http.
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:Pattern=`^https?://[^\s/?#@]+(/[^\s#]*)?$`
type EndpointURL string

// Endpoints are the addresses of an authorization server.
type Endpoints struct {
	// Authorization is where the person consents (RFC 6749 section 3.1).
	// +optional
	Authorization EndpointURL `json:"authorization,omitempty"`
	// Token is where tokens are issued (RFC 6749 section 3.2).
	// +optional
	Token EndpointURL `json:"token,omitempty"`
	// Revocation is where tokens are revoked (RFC 7009).
	// +optional
	Revocation EndpointURL `json:"revocation,omitempty"`
	// UserInfo tells who consented (OpenID Connect Core section 5.3, or an address like it that
	// answers a GET with the access token by JSON).
	// +optional
	UserInfo EndpointURL `json:"userInfo,omitempty"`
}

// ClientAuthentication is a way to authenticate at the token endpoint (RFC 6749 section 2.3).
// +kubebuilder:validation:Enum=ClientSecretBasic;ClientSecretPost;None
type ClientAuthentication string

const (
	// ClientSecretBasic sends the secret by HTTP Basic.
	ClientSecretBasic ClientAuthentication = "ClientSecretBasic"
	// ClientSecretPost sends the secret in the form body.
	ClientSecretPost ClientAuthentication = "ClientSecretPost"
	// ClientAuthenticationNone sends the client id only: a public client.
	ClientAuthenticationNone ClientAuthentication = "None"
)

// Scope is one scope-token of RFC 6749 section 3.3.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^[\x21\x23-\x5B\x5D-\x7E]+$`
type Scope string

// ScopeRules say how a provider takes scopes.
type ScopeRules struct {
	// Separator stands between scopes. The default is one space.
	// +optional
	// +kubebuilder:validation:MaxLength=1
	Separator string `json:"separator,omitempty"`
	// Required scopes are always asked for with the authorization code grant.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Required []Scope `json:"required,omitempty"`
	// Default scopes are asked for where the connection names none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Default []Scope `json:"default,omitempty"`
}

// RequestParams are extra parameters of a request. What the protocol itself sets is refused.
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 1024)",message="a parameter has at most 64 characters in its name and 1024 in its value"
// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['response_type','response_mode','client_id','client_secret','redirect_uri','state','nonce','scope','code','code_challenge','code_challenge_method','code_verifier','grant_type','refresh_token','request','request_uri','client_assertion','client_assertion_type']))",message="the protocol's own parameters (state, code_challenge, redirect_uri and the like) are set by the operator"
type RequestParams map[string]string

// Rotation is what a provider does with the refresh token at a refresh.
// +kubebuilder:validation:Enum=Static;Rotating;Unknown
type Rotation string

const (
	// RotationStatic means that the same refresh token stays valid.
	RotationStatic Rotation = "Static"
	// RotationRotating means that each refresh spends the refresh token.
	RotationRotating Rotation = "Rotating"
	// RotationUnknown is the default. It is treated as Rotating where that is safer.
	RotationUnknown Rotation = "Unknown"
)

// RefreshRules say how a provider's tokens live.
type RefreshRules struct {
	// Rotation is what happens to the refresh token at a refresh.
	// +optional
	Rotation Rotation `json:"rotation,omitempty"`
	// RetryWindow is how long the provider still honours the refresh token that was just spent.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	RetryWindow *metav1.Duration `json:"retryWindow,omitempty"`
	// TokenLifetime is the access token's life where the response has no expires_in.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	TokenLifetime *metav1.Duration `json:"tokenLifetime,omitempty"`
	// Earliest is the remaining life above which the provider refuses a refresh.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	Earliest *metav1.Duration `json:"earliest,omitempty"`
}

// ClientSpec is a client registration at the provider (RFC 6749 section 2).
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || (self.authentication == 'None') != has(self.secretRef)",message="secretRef is needed for ClientSecretBasic and ClientSecretPost, and not allowed for None"
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
	// namespace, or, for a ClusterOAuthProvider, in the operator's.
	// +optional
	SecretRef *SecretKeyRef `json:"secretRef,omitempty"`
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

// OAuthProviderSpec is a provider shared within a namespace.
type OAuthProviderSpec struct {
	ProviderSpec `json:",inline"`
	// Client is shared by the connections that name none of their own.
	// +optional
	Client *ClientSpec `json:"client,omitempty"`
}

// ClusterOAuthProviderSpec is a provider shared by namespaces.
type ClusterOAuthProviderSpec struct {
	OAuthProviderSpec `json:",inline"`
	// NamespaceSelector selects the namespaces whose connections may use this provider. Left out,
	// it selects none; {} selects all.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// AllowedGrants are those that connections may use this object's client with. A client that was
	// registered for people's consent often has more rights of its own than any of them.
	// +optional
	// +listType=set
	// +kubebuilder:default={AuthorizationCode}
	// +kubebuilder:validation:MaxItems=8
	AllowedGrants []GrantType `json:"allowedGrants,omitempty"`
	// AllowedScopes are those that connections may ask for with this object's client. Left out, all
	// are.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	AllowedScopes []Scope `json:"allowedScopes,omitempty"`
}

// ProviderStatus is what was found out about a provider.
type ProviderStatus struct {
	// ObservedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions hold Ready, and Stalled where somebody has to act.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// RedirectURI is the address to register with the provider, where this object holds the client.
	// +optional
	RedirectURI string `json:"redirectURI,omitempty"`
}

// OAuthProvider describes a provider, and optionally a client, for the connections of a namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=oap,categories=oauth
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Preset",type=string,JSONPath=`.spec.preset`
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Redirect",type=string,priority=1,JSONPath=`.status.redirectURI`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type OAuthProvider struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +required
	Spec OAuthProviderSpec `json:"spec"`
	// +optional
	Status ProviderStatus `json:"status,omitempty"`
}

// OAuthProviderList is a list of OAuthProvider.
//
// +kubebuilder:object:root=true
type OAuthProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthProvider `json:"items"`
}

// ClusterOAuthProvider describes a provider, and optionally a client, for the namespaces that it
// selects. Its client's Secret is in the operator's namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=coap,categories=oauth
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Preset",type=string,JSONPath=`.spec.preset`
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Redirect",type=string,priority=1,JSONPath=`.status.redirectURI`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ClusterOAuthProvider struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +required
	Spec ClusterOAuthProviderSpec `json:"spec"`
	// +optional
	Status ProviderStatus `json:"status,omitempty"`
}

// ClusterOAuthProviderList is a list of ClusterOAuthProvider.
//
// +kubebuilder:object:root=true
type ClusterOAuthProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterOAuthProvider `json:"items"`
}

// ProviderStatus is the status, for code that serves both provider kinds.
func (p *OAuthProvider) ProviderStatus() *ProviderStatus { return &p.Status }

// ProviderStatus is the status, for code that serves both provider kinds.
func (p *ClusterOAuthProvider) ProviderStatus() *ProviderStatus { return &p.Status }
