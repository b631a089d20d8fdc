// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"k8s.io/client-go/rest"
)

// maxDocument bounds the API server's discovery document.
const maxDocument = 1 << 16

// ServiceAccountIssuer is what a provider has to know to believe tokens of the cluster's
// ServiceAccounts: the issuer they name, and the keys of the API server's JWKS, which are fetched with
// the administrator's rights whenever a token names a key that is not known yet.
func (e *Env) ServiceAccountIssuer(ctx context.Context) (string, oidc.KeySet, error) {
	admin, err := rest.HTTPClientFor(e.Config)
	if err != nil {
		return "", nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(e.Config)
	if err != nil {
		return "", nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath(".well-known/openid-configuration").String(), nil)
	if err != nil {
		return "", nil, err
	}
	response, err := admin.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	var document struct {
		Issuer string `json:"issuer"`
	}
	body := http.MaxBytesReader(nil, response.Body, maxDocument)
	if err := json.NewDecoder(body).Decode(&document); err != nil || document.Issuer == "" {
		return "", nil, fmt.Errorf("the API server's OpenID configuration: status %d: %w", response.StatusCode, err)
	}
	// Not jwks_uri of the document: that is where others find it, who have no rights here.
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(ctx, admin), server.JoinPath("openid/v1/jwks").String())
	return document.Issuer, keys, nil
}
