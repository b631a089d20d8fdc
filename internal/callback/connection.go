// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// connection reads the connection of this UID and says why no account can be connected to it.
func (s *Server) connection(ctx context.Context, key types.NamespacedName, uid string) (*v1alpha1.OAuthConnection, error) {
	conn := &v1alpha1.OAuthConnection{}
	err := s.Connections.Get(ctx, key, conn)
	switch {
	case apierrors.IsNotFound(err), err == nil && string(conn.UID) != uid, err == nil && conn.DeletionTimestamp != nil:
		return nil, refuse(connectionGone)
	case err != nil:
		return nil, refuseFor(unavailable, err)
	case conn.Spec.Suspend:
		return nil, refuse(connectionSuspended)
	case conn.Spec.Grant != v1alpha1.GrantAuthorizationCode:
		return nil, refuse(noPersonNeeded)
	}
	return conn, nil
}

// resolve finds provider and client. What is wrong with them is in the connection's conditions.
func (s *Server) resolve(ctx context.Context, conn *v1alpha1.OAuthConnection) (*provider.Resolved, error) {
	resolved, err := s.Resolver.Connection(ctx, conn)
	if err != nil {
		return nil, refuseFor(notReady, err)
	}
	return resolved, nil
}
