// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RequestParams are extra parameters of a request. What the protocol itself sets is refused.
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 1024)",message="a parameter has at most 64 characters in its name and 1024 in its value"
// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['response_type','response_mode','client_id','client_secret','redirect_uri','state','nonce','scope','code','code_challenge','code_challenge_method','code_verifier','grant_type','refresh_token','request','request_uri','client_assertion','client_assertion_type','assertion','subject_token','actor_token','device_code']))",message="the protocol's own parameters (state, code_challenge, redirect_uri and the like) are set by the operator"
type RequestParams map[string]string

// ParamNames say what a provider calls the protocol's parameters: client_id: client_key. An empty name
// leaves the parameter out.
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 64)",message="a name has at most 64 characters"
type ParamNames map[string]string

// RequestHeaders are extra headers of a request. What authenticates the client and frames the body is
// refused.
// +kubebuilder:validation:MaxProperties=16
// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 256)",message="a header has at most 64 characters in its name and 256 in its value"
type RequestHeaders map[string]string

// BodyFormat is how parameters are sent.
// +kubebuilder:validation:Enum=Form;JSON
type BodyFormat string

const (
	// BodyForm is application/x-www-form-urlencoded, the format of RFC 6749.
	BodyForm BodyFormat = "Form"
	// BodyJSON is a JSON object of texts.
	BodyJSON BodyFormat = "JSON"
)

// AuthorizationRequestRules say where authorization requests differ from RFC 6749 section 4.1.1.
type AuthorizationRequestRules struct {
	// Rename maps the protocol's parameters to the provider's names.
	// +optional
	Rename ParamNames `json:"rename,omitempty"`
}

// AuthorizationResponseRules say where the redirect back differs from RFC 6749 section 4.1.2.
type AuthorizationResponseRules struct {
	// Code is the query parameter that holds the authorization code. The default is code.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['state','iss','error','error_description','error_uri'])",message="the code cannot have the name of another parameter"
	Code string `json:"code,omitempty"`
}

// TokenRequestRules say where token requests differ from RFC 6749.
type TokenRequestRules struct {
	// Format of the body. The default is Form.
	// +optional
	Format BodyFormat `json:"format,omitempty"`
	// Headers are added.
	// +optional
	Headers RequestHeaders `json:"headers,omitempty"`
	// Rename maps the protocol's parameters to the provider's names.
	// +optional
	Rename ParamNames `json:"rename,omitempty"`
}

// Expression is a CEL expression.
// +kubebuilder:validation:MaxLength=512
type Expression string

// TokenResponseRules are CEL expressions over body (the parsed JSON or form), headers (by lower-case
// name) and status (the HTTP status). What is left out, and what gives nothing because a field is
// missing, is read by the names of RFC 6749 section 5.
type TokenResponseRules struct {
	// AccessToken gives a text.
	// +optional
	AccessToken Expression `json:"accessToken,omitempty"`
	// RefreshToken gives a text.
	// +optional
	RefreshToken Expression `json:"refreshToken,omitempty"`
	// TokenType gives a text.
	// +optional
	TokenType Expression `json:"tokenType,omitempty"`
	// IDToken gives a text.
	// +optional
	IDToken Expression `json:"idToken,omitempty"`
	// Scope gives a text or a list of texts.
	// +optional
	Scope Expression `json:"scope,omitempty"`
	// ExpiresIn gives the access token's life in seconds, as a number or a text that holds one.
	// +optional
	ExpiresIn Expression `json:"expiresIn,omitempty"`
	// ExpiresAt gives the access token's end instead: a timestamp, a text of RFC 3339, or seconds since
	// 1970.
	// +optional
	ExpiresAt Expression `json:"expiresAt,omitempty"`
	// RefreshTokenExpiresIn is as ExpiresIn, of the refresh token.
	// +optional
	RefreshTokenExpiresIn Expression `json:"refreshTokenExpiresIn,omitempty"`
	// RefreshTokenExpiresAt is as ExpiresAt, of the refresh token.
	// +optional
	RefreshTokenExpiresAt Expression `json:"refreshTokenExpiresAt,omitempty"`
	// Error gives the error code, and an empty text where the answer is none.
	// +optional
	Error Expression `json:"error,omitempty"`
	// ErrorDescription gives the text that errors[].contains is looked for in. It is never shown.
	// +optional
	ErrorDescription Expression `json:"errorDescription,omitempty"`
}

// RevocationRequestRules say where revocation differs from RFC 7009.
type RevocationRequestRules struct {
	// Method of the request. The default is POST; GET has no body, and DELETE has one with format JSON.
	// +optional
	// +kubebuilder:validation:Enum=POST;DELETE;GET
	Method string `json:"method,omitempty"`
	// Format of the body. The default is Form.
	// +optional
	Format BodyFormat `json:"format,omitempty"`
	// Authentication of the request: Client, the default, authenticates as at the token endpoint;
	// ClientSecretBasic and ClientSecretPost send the client secret so instead; Bearer sends the token
	// itself in the Authorization header; None sends nothing.
	// +optional
	// +kubebuilder:validation:Enum=Client;ClientSecretBasic;ClientSecretPost;Bearer;None
	Authentication string `json:"authentication,omitempty"`
	// Token that is sent. The default is the refresh token where one is held, else the access token.
	// +optional
	// +kubebuilder:validation:Enum=RefreshToken;AccessToken
	Token string `json:"token,omitempty"`
	// Headers are added.
	// +optional
	Headers RequestHeaders `json:"headers,omitempty"`
	// Rename maps token, token_type_hint, client_id and client_secret to the provider's names.
	// +optional
	Rename ParamNames `json:"rename,omitempty"`
}

// MetadataRule is a value of the redirect back or of a token answer that is kept with the token.
type MetadataRule struct {
	// Name by which templates and endpoints use it.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9_]*$`
	Name string `json:"name"`
	// Value is a CEL expression over callback (the redirect's query, by name), body, headers, idToken
	// and userInfo that gives a text or a number. Where it gives nothing, an earlier value stays.
	// +required
	// +kubebuilder:validation:MinLength=1
	Value Expression `json:"value"`
	// Pattern that the whole value must match (RE2). Only a value with a pattern can be part of an
	// endpoint, and never leads to another host than the pattern allows.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Pattern string `json:"pattern,omitempty"`
}

// ErrorMeaning is what a refusal means for the grant.
// +kubebuilder:validation:Enum=GrantEnded;ClientRejected;RequestRejected;Throttled;Transient
type ErrorMeaning string

const (
	// ErrorGrantEnded means that a person has to consent again.
	ErrorGrantEnded ErrorMeaning = "GrantEnded"
	// ErrorClientRejected means that the client's credentials are not accepted.
	ErrorClientRejected ErrorMeaning = "ClientRejected"
	// ErrorRequestRejected means that scopes or parameters are not accepted.
	ErrorRequestRejected ErrorMeaning = "RequestRejected"
	// ErrorThrottled means that the provider wants to be asked less often.
	ErrorThrottled ErrorMeaning = "Throttled"
	// ErrorTransient means that the provider failed.
	ErrorTransient ErrorMeaning = "Transient"
)

// ErrorRule tells what a refusal means, in words that people understand.
// +kubebuilder:validation:XValidation:rule="has(self.code) || has(self.contains)",message="code or contains is needed"
type ErrorRule struct {
	// Code is the error of the answer. Left out, any code matches.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	Code string `json:"code,omitempty"`
	// Contains is a text that the error_description has, such as AADSTS50173.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[\x20-\x7E]+$`
	Contains string `json:"contains,omitempty"`
	// Means is what follows. Left out, it is what RFC 6749 says of the code.
	// +optional
	Means ErrorMeaning `json:"means,omitempty"`
	// Cause in plain words.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Cause string `json:"cause,omitempty"`
	// Next is what to do about it.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Next string `json:"next,omitempty"`
}

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
	// IdleTimeout ends a refresh token that is not used for so long. The token is renewed before it,
	// however long the access token lives.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`
	// AbsoluteLifetime ends a grant so long after the person consented, however often it was renewed.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$`
	AbsoluteLifetime *metav1.Duration `json:"absoluteLifetime,omitempty"`
	// Repeat lists what a refresh sends once more, for providers that ask for it: redirect_uri, scope.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=redirect_uri;scope
	Repeat []string `json:"repeat,omitempty"`
	// GrantType of a refresh, where it is not refresh_token.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	GrantType string `json:"grantType,omitempty"`
}
