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

	// ExchangeParams are added to the request that exchanges an authorization code.
	// +optional
	ExchangeParams RequestParams `json:"exchangeParams,omitempty"`

	// RefreshParams are added to every refresh request.
	// +optional
	RefreshParams RequestParams `json:"refreshParams,omitempty"`

	// PushedAuthorization says whether authorization requests are pushed (RFC 9126). The default, Auto,
	// pushes them where endpoints or the metadata name an address for it.
	// +optional
	// +kubebuilder:validation:Enum=Auto;None
	PushedAuthorization string `json:"pushedAuthorization,omitempty"`

	// AssertionAudience is the audience of the assertions by which clients authenticate (RFC 7523).
	// The default is the issuer, or the token endpoint where no issuer is known.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	AssertionAudience string `json:"assertionAudience,omitempty"`

	// AuthorizationRequest says where authorization requests differ from RFC 6749 section 4.1.1.
	// +optional
	AuthorizationRequest *AuthorizationRequestRules `json:"authorizationRequest,omitempty"`

	// AuthorizationResponse says where the redirect back differs from RFC 6749 section 4.1.2.
	// +optional
	AuthorizationResponse *AuthorizationResponseRules `json:"authorizationResponse,omitempty"`

	// TokenRequest says where token requests differ from RFC 6749.
	// +optional
	TokenRequest *TokenRequestRules `json:"tokenRequest,omitempty"`

	// TokenResponse says where the answers of the token endpoint differ from RFC 6749 section 5.
	// +optional
	TokenResponse *TokenResponseRules `json:"tokenResponse,omitempty"`

	// RevocationRequest says where revocation differs from RFC 7009.
	// +optional
	RevocationRequest *RevocationRequestRules `json:"revocationRequest,omitempty"`

	// Refresh says how this provider's refresh tokens behave.
	// +optional
	Refresh *RefreshRules `json:"refresh,omitempty"`

	// Metadata are values of the redirect back and of token answers that callers of the provider need,
	// such as the address of an instance. Templates use them as {{ .metadata.NAME }}; endpoints as
	// {NAME}, where the entry has a pattern.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Metadata []MetadataRule `json:"metadata,omitempty"`

	// Errors tell what refusals of this provider mean. The first that matches counts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Errors []ErrorRule `json:"errors,omitempty"`

	// Account is a CEL expression over idToken, userInfo, callback (the redirect's query) and body (the
	// token response) that gives the name of the account that consented, for example idToken.email.
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
	// Refresh is where tokens are refreshed, for the few providers that do not use Token for it.
	// +optional
	Refresh EndpointURL `json:"refresh,omitempty"`
	// DeviceAuthorization is where device codes are asked for (RFC 8628 section 3.1).
	// +optional
	DeviceAuthorization EndpointURL `json:"deviceAuthorization,omitempty"`
	// PushedAuthorizationRequest is where authorization requests are pushed (RFC 9126 section 2).
	// +optional
	PushedAuthorizationRequest EndpointURL `json:"pushedAuthorizationRequest,omitempty"`
	// Introspection tells the life of tokens whose answer does not say it (RFC 7662).
	// +optional
	Introspection EndpointURL `json:"introspection,omitempty"`
	// Revocation is where tokens are revoked (RFC 7009). {token} and {client_id} in its path or query
	// stand for those values.
	// +optional
	Revocation EndpointURL `json:"revocation,omitempty"`
	// UserInfo tells who consented (OpenID Connect Core section 5.3, or an address like it that
	// answers a GET with the access token by JSON).
	// +optional
	UserInfo EndpointURL `json:"userInfo,omitempty"`
}

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
