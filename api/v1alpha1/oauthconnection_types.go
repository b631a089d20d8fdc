// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OAuthConnectionSpec says which account of which provider is to be held, and where its token goes.
// +kubebuilder:validation:XValidation:rule="has(self.provider) != has(self.providerRef)",message="exactly one of provider and providerRef is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.provider) || has(self.client) || self.grant in ['JWTBearer', 'TokenExchange']",message="client is needed with an inline provider"
// +kubebuilder:validation:XValidation:rule="self.grant != 'ClientCredentials' || !has(self.client) || has(self.client.secretRef) || has(self.client.serviceAccountRef)",message="grant ClientCredentials needs client.secretRef or client.serviceAccountRef: a public client has no credentials"
// +kubebuilder:validation:XValidation:rule="self.grant == 'AuthorizationCode' || !has(self.authorizationParams)",message="authorizationParams belong to grant AuthorizationCode"
// +kubebuilder:validation:XValidation:rule="self.grant == 'AuthorizationCode' || self.redirect == 'Hosted'",message="redirect belongs to grant AuthorizationCode"
// +kubebuilder:validation:XValidation:rule="self.grant in ['AuthorizationCode', 'DeviceCode'] || (!has(self.expectedAccount) && !has(self.seed))",message="expectedAccount and seed belong to grants AuthorizationCode and DeviceCode"
// +kubebuilder:validation:XValidation:rule="(self.grant in ['JWTBearer', 'TokenExchange']) == has(self.subject)",message="subject belongs to grants JWTBearer and TokenExchange, which need it"
// +kubebuilder:validation:XValidation:rule="!has(self.subject) || self.grant == 'TokenExchange' || (!has(self.subject.tokenType) && !has(self.subject.requestedTokenType))",message="subject.tokenType and subject.requestedTokenType belong to grant TokenExchange"
// +kubebuilder:validation:XValidation:rule="(has(self.secret) && has(self.secret.template) && has(self.secret.template.type) ? self.secret.template.type : 'Opaque') == (has(oldSelf.secret) && has(oldSelf.secret.template) && has(oldSelf.secret.template.type) ? oldSelf.secret.template.type : 'Opaque')",message="secret.template.type cannot be changed: Kubernetes does not change a Secret's type; make another connection"
type OAuthConnectionSpec struct {
	// Provider describes the provider inline.
	// +optional
	Provider *ProviderSpec `json:"provider,omitempty"`

	// ProviderRef names an object that describes the provider.
	// +optional
	ProviderRef *ProviderRef `json:"providerRef,omitempty"`

	// Client is the registration at the provider. It can be left out where the object behind
	// providerRef holds one.
	// +optional
	Client *ClientSpec `json:"client,omitempty"`

	// Grant is how tokens are obtained.
	// +optional
	// +kubebuilder:default=AuthorizationCode
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="grant cannot be changed: make another connection"
	Grant GrantType `json:"grant,omitempty"`

	// Redirect is where the provider sends the person's browser back to. Hosted is the operator's own
	// callback address. Loopback is kubectl oauth on the person's machine (RFC 8252 section 7.3): no
	// browser has to reach the operator, and the provider has to know the client as a native app.
	// +optional
	// +kubebuilder:default=Hosted
	Redirect RedirectType `json:"redirect,omitempty"`

	// Scopes are asked for, together with those the provider requires.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// AuthorizationParams are added to the authorization request, such as login_hint, max_age or
	// acr_values.
	// +optional
	AuthorizationParams RequestParams `json:"authorizationParams,omitempty"`

	// TokenParams are added to every token request, such as the audience or resource (RFC 8707) that the
	// token is for.
	// +optional
	TokenParams RequestParams `json:"tokenParams,omitempty"`

	// Subject is whose authority the token request rests on, with grants JWTBearer and TokenExchange.
	// +optional
	Subject *SubjectSpec `json:"subject,omitempty"`

	// Seed is a refresh token that somebody holds already, to start from instead of a person's consent.
	// It is read once. A consent or another seed takes its place.
	// +optional
	Seed *SeedSpec `json:"seed,omitempty"`

	// ExpectedAccount is the only account that may be connected, as status.account has it. Any other
	// is refused before anything is stored.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	ExpectedAccount string `json:"expectedAccount,omitempty"`

	// Refresh overrides the schedule.
	// +optional
	Refresh *RefreshSpec `json:"refresh,omitempty"`

	// Secret is where the token goes.
	// +optional
	Secret SecretSpec `json:"secret,omitempty"`

	// DeletionPolicy says what happens to the grant when this object is deleted. Revoke asks the
	// provider to end it (RFC 7009, best effort: it never blocks deletion) and removes the target
	// Secret. Orphan leaves both.
	// +optional
	// +kubebuilder:default=Revoke
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// Suspend stops renewing and publishing. Deletion still works.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ProviderRef names an OAuthProvider of the same namespace or a ClusterOAuthProvider.
type ProviderRef struct {
	// Kind of the object.
	// +optional
	// +kubebuilder:default=OAuthProvider
	// +kubebuilder:validation:Enum=OAuthProvider;ClusterOAuthProvider
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// RedirectType says where the provider sends the person's browser back to.
// +kubebuilder:validation:Enum=Hosted;Loopback
type RedirectType string

const (
	// RedirectHosted is the operator's callback address.
	RedirectHosted RedirectType = "Hosted"
	// RedirectLoopback is kubectl oauth on the person's machine.
	RedirectLoopback RedirectType = "Loopback"
)

// DeletionPolicy says what becomes of a grant.
// +kubebuilder:validation:Enum=Orphan;Revoke
type DeletionPolicy string

const (
	// DeletionPolicyOrphan leaves the grant and the target Secret.
	DeletionPolicyOrphan DeletionPolicy = "Orphan"
	// DeletionPolicyRevoke revokes the grant and removes the target Secret.
	DeletionPolicyRevoke DeletionPolicy = "Revoke"
)

// RefreshSpec overrides when a token is renewed.
type RefreshSpec struct {
	// Before is how long before its expiry a token is renewed; never more than half of its life.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5s') && duration(self) <= duration('720h')",message="before is between 5s and 720h"
	Before *metav1.Duration `json:"before,omitempty"`
}

// SecretSpec is the Secret that workloads mount.
type SecretSpec struct {
	// Name of the Secret. The default is the connection's name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// Template says what the Secret holds. Without it the keys are access_token, token_type, expiry
	// (RFC 3339, left out where it is not known) and scope.
	// +optional
	Template *SecretTemplate `json:"template,omitempty"`
	// KeepPrevious also writes previous_access_token, so that readers never break between two
	// reads of a mounted volume.
	// +optional
	KeepPrevious bool `json:"keepPrevious,omitempty"`
}

// SecretTemplate says what the target Secret holds.
type SecretTemplate struct {
	// Type of the Secret.
	// +optional
	// +kubebuilder:default=Opaque
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self in ['Opaque','kubernetes.io/basic-auth','kubernetes.io/dockerconfigjson'] || self.matches('^servicebinding\\\\.io/[a-z0-9][-a-z0-9.]{0,62}$')",message="type is one of Opaque, kubernetes.io/basic-auth, kubernetes.io/dockerconfigjson and servicebinding.io/*"
	Type string `json:"type,omitempty"`
	// Metadata is put on the Secret.
	// +optional
	Metadata *SecretMetadata `json:"metadata,omitempty"`
	// Data maps keys to Go templates over accessToken, tokenType, expiry, scope, scopes, account,
	// metadata (by the names in the provider's metadata), previousAccessToken, name and namespace. It
	// replaces the default keys.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && size(self[k]) <= 4096)",message="a key has letters, digits, '-', '_' and '.', at most 253 of them, and its template at most 4096 characters"
	Data map[string]string `json:"data,omitempty"`
}

// SecretMetadata are labels and annotations for the target Secret.
type SecretMetadata struct {
	// Labels to set.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 63)",message="a label's value has at most 63 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('(^|\\\\.)(kubernetes\\\\.io|k8s\\\\.io|oauth-operator\\\\.dev)/'))",message="labels of kubernetes.io, k8s.io and oauth-operator.dev are reserved"
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations to set.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 4096)",message="an annotation's value has at most 4096 characters"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('(^|\\\\.)(kubernetes\\\\.io|k8s\\\\.io|oauth-operator\\\\.dev)/'))",message="annotations of kubernetes.io, k8s.io and oauth-operator.dev are reserved"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// OAuthConnectionStatus is what was observed.
type OAuthConnectionStatus struct {
	// ObservedGeneration is the generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling, Stalled, and the steps ClientResolved, Authorized, TokenFresh
	// and SecretPublished.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Provider is the display name of the provider.
	// +optional
	Provider string `json:"provider,omitempty"`
	// RedirectURI is the address to register with the provider.
	// +optional
	RedirectURI string `json:"redirectURI,omitempty"`
	// AuthorizationURL is where a person starts to consent; only while one is needed. It is no
	// capability, unless the platform team has switched on connect mode Link. Without a way in by
	// browser alone it is empty: kubectl oauth connect is the way.
	// +optional
	AuthorizationURL string `json:"authorizationURL,omitempty"`
	// Account that consented.
	// +optional
	Account string `json:"account,omitempty"`
	// Scopes that were granted.
	// +optional
	// +listType=atomic
	Scopes []string `json:"scopes,omitempty"`
	// ExpiresAt is the expiry of the access token.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// RefreshAt is when the token is renewed next.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`
	// RefreshTokenExpiresAt is when the grant ends and a person has to consent again, where the provider
	// says it or its refresh.absoluteLifetime is known.
	// +optional
	RefreshTokenExpiresAt *metav1.Time `json:"refreshTokenExpiresAt,omitempty"`
	// LastRefreshTime is when the token was obtained.
	// +optional
	LastRefreshTime *metav1.Time `json:"lastRefreshTime,omitempty"`
	// RefreshCount counts the renewals since a person consented.
	// +optional
	RefreshCount int64 `json:"refreshCount,omitempty"`
	// ConsecutiveFailures counts the renewals that failed since the last that worked.
	// +optional
	ConsecutiveFailures int32 `json:"consecutiveFailures,omitempty"`
	// LastHandledRefresh is the value of the refresh-requested-at annotation that was acted on last.
	// +optional
	LastHandledRefresh string `json:"lastHandledRefresh,omitempty"`
	// LastHandledDisconnect is the value of the disconnect-requested-at annotation that was acted
	// on last.
	// +optional
	LastHandledDisconnect string `json:"lastHandledDisconnect,omitempty"`
	// Binding names the target Secret (servicebinding.io, Provisioned Service).
	// +optional
	Binding *Binding `json:"binding,omitempty"`
}

// Binding names the Secret that holds the token.
type Binding struct {
	// Name of the Secret.
	Name string `json:"name"`
}

// OAuthConnection holds one account of an OAuth 2.0 provider and keeps a fresh access token in a
// Secret.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=oac,categories=oauth
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.status.provider`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Expires",type=string,format=date-time,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Refresh",type=string,format=date-time,priority=1,JSONPath=`.status.refreshAt`
// +kubebuilder:printcolumn:name="Secret",type=string,priority=1,JSONPath=`.status.binding.name`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type OAuthConnection struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// +required
	Spec OAuthConnectionSpec `json:"spec"`
	// +optional
	Status OAuthConnectionStatus `json:"status,omitempty"`
}

// TargetName is the name of the Secret that workloads mount.
func (c *OAuthConnection) TargetName() string {
	if c.Spec.Secret.Name != "" {
		return c.Spec.Secret.Name
	}
	return c.Name
}

// OAuthConnectionList is a list of OAuthConnection.
//
// +kubebuilder:object:root=true
type OAuthConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []OAuthConnection `json:"items"`
}
