// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secondopinion runs node's oidc-provider, which shares no code and no author with the
// provider of internal/testenv/idp, and tests internal/provider and internal/oauth against it.
//
// It needs node and what "make second-opinion" installs. Tests are skipped where these are missing,
// and fail there if SECOND_OPINION_REQUIRED is set.
package secondopinion
