// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package publish keeps the Secret that workloads mount.
package publish

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// ConnectionLabel on a target Secret is the UID of the connection that owns it.
	ConnectionLabel = "oauth-operator.dev/connection-uid"
	// FieldManager names the operator in managedFields.
	FieldManager = "oauth-operator"
)

// Values are what a target Secret can hold. There is no refresh token among them.
type Values struct {
	AccessToken         oauth.Secret
	PreviousAccessToken oauth.Secret
	TokenType           string
	Expiry              time.Time
	Scopes              []string
	Account             string
}

// Error is why a target does not hold what it should.
type Error struct {
	// Reason is one of the reasons of SecretPublished.
	Reason string
	// Message says the cause and the next command.
	Message string
}

func (e *Error) Error() string { return e.Message }

// Publisher writes target Secrets.
type Publisher struct {
	// Client writes, and reads live.
	Client client.Client
	// Metadata is a cache of PartialObjectMetadata of Secrets made with CacheOptions and
	// IndexFields. It is nil where the platform team switched the watch off.
	Metadata client.Reader

	mu      sync.Mutex
	targets map[types.UID]*target
}

type target struct{}

// Publish brings the target Secret to hold v. The error is an *Error.
func (p *Publisher) Publish(ctx context.Context, conn *v1alpha1.OAuthConnection, v Values) error {
	return nil
}

// Withdraw deletes the connection's own targets.
func (p *Publisher) Withdraw(ctx context.Context, conn *v1alpha1.OAuthConnection) error { return nil }

// Release removes the owner reference and the label.
func (p *Publisher) Release(ctx context.Context, conn *v1alpha1.OAuthConnection) error { return nil }

// Foreign says whether an event of a labelled Secret is the work of somebody else. old is nil for
// a creation, new for a deletion.
func (p *Publisher) Foreign(old, new metav1.Object) bool { return true }

// Forget drops what is remembered of a connection that is gone.
func (p *Publisher) Forget(uid types.UID) {}

// ForConnection names the connection that a target Secret's owner reference speaks of.
func ForConnection(secret metav1.Object) (types.NamespacedName, bool) {
	return types.NamespacedName{}, false
}

// IndexFields adds the index that Publisher.Metadata needs.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error { return nil }

// CacheOptions are what the manager's cache needs for Secrets: only labelled ones, without
// managedFields.
func CacheOptions() cache.ByObject { return cache.ByObject{} }
