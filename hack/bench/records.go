// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// keysetName is the operator's keyset in its namespace.
const keysetName = "oauth-operator-keyset"

// records writes what the operator holds, in the operator's place.
type records struct{ store *tokenstore.Store }

func openRecords(ctx context.Context, admin client.Client) (*records, error) {
	key := types.NamespacedName{Namespace: testenv.OperatorNamespace, Name: keysetName}
	keyring, err := seal.Open(ctx, seal.SecretSource(admin, key, nil))
	if err != nil {
		return nil, err
	}
	return &records{store: &tokenstore.Store{
		Client: admin, Namespace: testenv.OperatorNamespace, Keyring: keyring, Holder: "bench", Clock: clock.RealClock{},
	}}, nil
}

// consent stores a grant as a callback does, except that no person was asked.
func (r *records) consent(ctx context.Context, conn *v1alpha1.OAuthConnection, p *provider.Resolved) error {
	token, err := p.Exchange(ctx, oauth.NewSecret("code"), oauth.NewSecret("verifier"))
	if err != nil {
		return err
	}
	_, err = r.store.Replace(ctx, keyOf(conn), &tokenstore.Record{
		Fingerprint: p.Fingerprint, Grant: string(conn.Spec.Grant), Token: *token, RequestedScopes: p.Scopes,
		AuthorizedAt: token.Obtained, Authorization: uuid.NewUUID(), Account: "octocat@example.com",
		Spec: provider.Keep(conn),
	})
	return err
}

// due is a refresh that is to happen.
type due struct {
	token string // the refresh token that will be spent
	at    time.Time
}

// setDue ages a record's token so that it is due at this moment.
func (r *records) setDue(ctx context.Context, conn *v1alpha1.OAuthConnection, at time.Time) (due, error) {
	record, err := r.store.Get(ctx, keyOf(conn))
	if err != nil {
		return due{}, fmt.Errorf("connection %s: %w", conn.Name, err)
	}
	token := &record.Token
	shift := at.Sub(oauth.DueAt(token, oauth.Schedule{Seed: string(conn.UID)}))
	token.Obtained, token.Expiry = token.Obtained.Add(shift), token.Expiry.Add(shift)
	if _, err := r.store.Replace(ctx, keyOf(conn), record); err != nil {
		return due{}, err
	}
	return due{token: token.RefreshToken.Reveal(), at: at}, nil
}

func keyOf(conn *v1alpha1.OAuthConnection) tokenstore.Key {
	return tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
}
