// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package records writes what the operator holds in the operator's place, for the benchmark and the chaos
// suite: grants that nobody consented to, and tokens as old as they are wanted.
package records

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
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// keysetName is the operator's keyset in its namespace.
const keysetName = "oauth-operator-keyset"

// Records are those of one operator.
type Records struct{ store *tokenstore.Store }

// Open reads the keyset in the operator's namespace, and makes it where the operator never ran.
func Open(ctx context.Context, admin client.Client, namespace string) (*Records, error) {
	key := types.NamespacedName{Namespace: namespace, Name: keysetName}
	keyring, err := seal.Open(ctx, seal.SecretSource(admin, key, nil))
	if err != nil {
		return nil, err
	}
	return &Records{store: &tokenstore.Store{
		Client: admin, Namespace: namespace, Keyring: keyring, Holder: "records", Clock: clock.RealClock{},
	}}, nil
}

// Consent stores a grant as a callback does, except that no person was asked.
func (r *Records) Consent(ctx context.Context, conn *v1alpha1.OAuthConnection, p *provider.Resolved, token *oauth.Token) error {
	_, err := r.store.Replace(ctx, Key(conn), &tokenstore.Record{
		Fingerprint: p.Fingerprint, Grant: string(conn.Spec.Grant), Token: *token, RequestedScopes: p.Scopes,
		AuthorizedAt: time.Now(), Authorization: uuid.NewUUID(), Account: "octocat@example.com",
		Spec: provider.Keep(conn),
	})
	return err
}

// Get reads the record of a connection.
func (r *Records) Get(ctx context.Context, conn *v1alpha1.OAuthConnection) (*tokenstore.Record, error) {
	return r.store.Get(ctx, Key(conn))
}

// SetDue ages a record's token so that it is due at this moment, and returns the refresh token.
func (r *Records) SetDue(ctx context.Context, conn *v1alpha1.OAuthConnection, at time.Time) (string, error) {
	record, err := r.Get(ctx, conn)
	if err != nil {
		return "", fmt.Errorf("connection %s: %w", conn.Name, err)
	}
	token := &record.Token
	shift := at.Sub(oauth.DueAt(token, oauth.Schedule{Seed: string(conn.UID)}))
	token.Obtained, token.Expiry = token.Obtained.Add(shift), token.Expiry.Add(shift)
	if _, err := r.store.Replace(ctx, Key(conn), record); err != nil {
		return "", err
	}
	return token.RefreshToken.Reveal(), nil
}

// Key is a connection's in the token store.
func Key(conn *v1alpha1.OAuthConnection) tokenstore.Key {
	return tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
}
