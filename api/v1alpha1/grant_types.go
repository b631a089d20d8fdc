// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// GrantType is a grant of RFC 6749 section 1.3 or an extension of it.
// +kubebuilder:validation:Enum=AuthorizationCode;ClientCredentials;DeviceCode;JWTBearer;TokenExchange
type GrantType string

const (
	// GrantAuthorizationCode needs a person once (RFC 6749 section 4.1).
	GrantAuthorizationCode GrantType = "AuthorizationCode"
	// GrantClientCredentials needs none (RFC 6749 section 4.4).
	GrantClientCredentials GrantType = "ClientCredentials"
	// GrantDeviceCode needs a person once, with any browser anywhere (RFC 8628).
	GrantDeviceCode GrantType = "DeviceCode"
	// GrantJWTBearer trades a signed assertion for a token (RFC 7523 section 2.1).
	GrantJWTBearer GrantType = "JWTBearer"
	// GrantTokenExchange trades a token for another (RFC 8693).
	GrantTokenExchange GrantType = "TokenExchange"
)

// NeedsPerson says whether somebody consents to what the client gets. The empty grant is the default,
// AuthorizationCode.
func (g GrantType) NeedsPerson() bool {
	return g == "" || g == GrantAuthorizationCode || g == GrantDeviceCode
}

// SubjectSpec is the assertion (RFC 7523 section 2.1) or subject token (RFC 8693 section 2.1) of a token
// request.
// +kubebuilder:validation:XValidation:rule="[has(self.serviceAccountRef), has(self.secretRef), has(self.signedJWT)].filter(x, x).size() == 1",message="exactly one of serviceAccountRef, secretRef and signedJWT is needed"
type SubjectSpec struct {
	// ServiceAccountRef takes a short-lived token of a ServiceAccount of this namespace.
	// +optional
	ServiceAccountRef *ServiceAccountRef `json:"serviceAccountRef,omitempty"`
	// SecretRef takes a token that somebody else keeps fresh in a Secret of this namespace. It is read
	// before every request.
	// +optional
	SecretRef *TokenKeyRef `json:"secretRef,omitempty"`
	// SignedJWT is made and signed by the operator with a private key, as for a Google service account.
	// +optional
	SignedJWT *SignedJWT `json:"signedJWT,omitempty"`
	// TokenType of the subject token. The default is urn:ietf:params:oauth:token-type:jwt.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	TokenType string `json:"tokenType,omitempty"`
	// RequestedTokenType is what the provider is asked for. The provider decides where it is left out.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	RequestedTokenType string `json:"requestedTokenType,omitempty"`
}

// SignedJWT is an assertion of RFC 7523 section 3. iat, exp and jti are set for each request.
type SignedJWT struct {
	// KeyRef holds the private key, as PEM or JWK.
	// +required
	KeyRef TokenKeyRef `json:"keyRef"`
	// KeyID is the kid in the header.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[\x21-\x7E]+$`
	KeyID string `json:"keyID,omitempty"`
	// Algorithm signs it. The default suits the key: RS256, ES256, ES384, ES512 or EdDSA.
	// +optional
	// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
	Algorithm string `json:"algorithm,omitempty"`
	// Issuer is iss. The default is the client's id.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer,omitempty"`
	// Subject is sub, which RFC 7523 asks for and most providers need: whom the token is for. It is left
	// out by default, because to Google it means somebody else than the service account itself.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`
	// Audience is aud. The default is the provider's assertionAudience, its issuer or its token endpoint.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`
	// Claims are added, such as the scope that Google wants in the assertion.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 64 && size(self[k]) <= 1024 && !(k in ['iss','sub','aud','iat','nbf','exp','jti']))",message="iss, sub, aud, iat, nbf, exp and jti are set by the operator; a claim has at most 64 characters in its name and 1024 in its value"
	Claims map[string]string `json:"claims,omitempty"`
}

// SeedSpec is where a grant starts from.
type SeedSpec struct {
	// SecretRef is the key of a Secret of this namespace that holds a refresh token. The Secret may go
	// away once the connection is Ready.
	// +required
	SecretRef TokenKeyRef `json:"secretRef"`
}
