// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// Lifetime is how long an attempt can be finished.
const Lifetime = 10 * time.Minute

// Attempts works on attempts. It keeps nothing between calls: any replica does the next step.
type Attempts struct {
	// Connections reads OAuthConnections, from the cache.
	Connections client.Reader
	// Client reads and writes OAuthAuthorizations, live.
	Client   client.Client
	Resolver *provider.Resolver
	Store    *tokenstore.Store
	Keyring  *seal.Keyring
	Clock    clock.PassiveClock
	// Events are written on the connection.
	Events  events.EventRecorder
	Metrics *Metrics
	Modes   Modes
}

// Target is a connection that an account can be connected to now.
type Target struct {
	Connection *v1alpha1.OAuthConnection
	Client     *provider.Resolved
}

// Target finds a connection that a browser can be sent to the provider for, with its provider and
// client. uid, where it is not empty, tells the connection from an earlier or later one of the same name.
// It fails with a *Refusal.
func (a *Attempts) Target(ctx context.Context, key types.NamespacedName, uid types.UID) (*Target, error) {
	return a.target(ctx, key, uid, v1alpha1.GrantAuthorizationCode)
}

// DeviceTarget is Target for connections whose provider has a page for codes.
func (a *Attempts) DeviceTarget(ctx context.Context, key types.NamespacedName, uid types.UID) (*Target, error) {
	return a.target(ctx, key, uid, v1alpha1.GrantDeviceCode)
}

func (a *Attempts) target(ctx context.Context, key types.NamespacedName, uid types.UID, grant v1alpha1.GrantType) (*Target, error) {
	conn := &v1alpha1.OAuthConnection{}
	err := a.Connections.Get(ctx, key, conn)
	switch {
	case apierrors.IsNotFound(err), err == nil && uid != "" && conn.UID != uid, err == nil && conn.DeletionTimestamp != nil:
		return nil, Refuse(ConnectionGone)
	case err != nil:
		return nil, RefuseFor(Unavailable, err)
	case conn.Spec.Suspend:
		return nil, Refuse(ConnectionSuspended)
	case !conn.Spec.Grant.NeedsPerson():
		return nil, Refuse(NoPersonNeeded)
	case conn.Spec.Grant != grant && grant == v1alpha1.GrantDeviceCode:
		return nil, Refuse(BrowserNeeded)
	case conn.Spec.Grant != grant:
		return nil, Refuse(DeviceNeeded)
	}
	resolved, err := a.Resolver.Connection(ctx, conn)
	if err != nil {
		return nil, RefuseFor(NotReady, err) // what is wrong is in the connection's conditions
	}
	return &Target{Connection: conn, Client: resolved}, nil
}

// Loopback says whether the provider's response comes to kubectl oauth.
func (t *Target) Loopback() bool { return t.Connection.Spec.Redirect == v1alpha1.RedirectLoopback }
