// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"

	"k8s.io/client-go/kubernetes"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// ServiceAccountTokens asks the API server for short-lived tokens of ServiceAccounts.
type ServiceAccountTokens interface {
	// Token is one for the audience, never one that the API server itself accepts.
	Token(ctx context.Context, namespace, name, audience string) (oauth.Secret, error)
}

// NewServiceAccountTokens uses the TokenRequest API, and TokenReview to find out whether a token could
// be used against the API server.
func NewServiceAccountTokens(api kubernetes.Interface) ServiceAccountTokens {
	return &tokenRequests{api: api}
}

type tokenRequests struct{ api kubernetes.Interface }

func (t *tokenRequests) Token(ctx context.Context, namespace, name, audience string) (oauth.Secret, error) {
	return oauth.Secret{}, errors.ErrUnsupported
}
