// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

// kindOf says what a registered error code means, and 0 for every other text. Only codes listed
// here ever leave this package, so that a provider cannot write into status or logs.
func kindOf(code string) Kind {
	switch code {
	case "invalid_grant", // RFC 6749 section 5.2
		"expired_token", // RFC 8628 section 3.5
		// OpenID Connect Core section 3.1.2.6; Microsoft Entra answers refreshes with them.
		"interaction_required", "login_required", "account_selection_required", "consent_required",
		"bad_refresh_token", "bad_verification_code": // GitHub
		return Reauthorize
	case "invalid_client", "unauthorized_client", // RFC 6749 section 5.2
		"incorrect_client_credentials": // GitHub
		return ClientRejected
	case "invalid_request", "invalid_scope", "unsupported_grant_type", // RFC 6749 section 5.2
		"unsupported_response_type", "access_denied", // RFC 6749 section 4.1.2.1
		authorizationDeclined,
		"unsupported_token_type", // RFC 7009 section 2.2.1
		"invalid_target",         // RFC 8707 section 2
		// OpenID Connect Core section 3.1.2.6
		"invalid_request_uri", "invalid_request_object", "request_not_supported",
		"request_uri_not_supported", "registration_not_supported",
		"redirect_uri_mismatch": // GitHub, Google
		return Misconfigured
	case "temporarily_unavailable", "server_error", // RFC 6749 section 4.1.2.1
		"authorization_pending": // RFC 8628 section 3.5
		return Transient
	case "slow_down": // RFC 8628 section 3.5
		return Throttled
	}
	return 0
}
