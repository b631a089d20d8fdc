// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokenstore keeps one sealed record per connection, in a Secret of the operator's namespace.
//
// A rotating refresh token is spent the moment the provider answers, so a record is written twice for
// each token request:
//
//	Get ──► Begin ──────────► token request ──► Save ──► (not saved) ──► keeper, until it is
//	        intent, fence │                     └──► Fail: the token stays, when to try again
//	                      └──► Withdraw: nothing was sent
//
// Begin proves that the API server takes writes and keeps other processes from spending the same token.
// Save is not cancelled, and what it cannot write the keeper writes later. Until it is written it is in the
// journal, which the next process of the container replays. Every write is a
// compare-and-swap on the Secret's resourceVersion and costs one API request when nobody interferes.
//
// Who wins when somebody does is decided in one place, merge.
package tokenstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/journal"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// What a record's Secret looks like from outside.
const (
	// RecordType is the type of a record's Secret.
	RecordType corev1.SecretType = "oauth-operator.dev/record"
	// Label is "true" on every record's Secret.
	Label = "oauth-operator.dev/record"
	// ConnectionAnnotation is the connection, as namespace/name.
	ConnectionAnnotation = "oauth-operator.dev/connection"
	// AuthorizationAnnotation is the UID of the consent. It changes exactly when another consent is stored.
	AuthorizationAnnotation = "oauth-operator.dev/authorization"
	// IDTokenAnnotation is there where the ID token that came with the grant is not the provider's for
	// this client, which is found out after the consent is stored.
	IDTokenAnnotation = "oauth-operator.dev/id-token"
	// RefreshesAnnotation counts the refreshes of the consent, see WentBack.
	RefreshesAnnotation = "oauth-operator.dev/refreshes"

	dataKey      = "record"
	fieldManager = "oauth-operator"
)

var (
	// ErrNotFound says that no record is stored, or that it was deleted meanwhile.
	ErrNotFound = errors.New("no record is stored")
	// ErrConflict says that somebody else's write came first and stays: read again.
	ErrConflict = errors.New("the record was changed meanwhile")
	// ErrInFlight says that another process may be using the refresh token right now.
	ErrInFlight = errors.New("another process is making a token request")
	// ErrUnsaved says that a record is held in memory and being saved.
	ErrUnsaved = errors.New("the record is not saved yet")
)

// Key names the connection a record belongs to.
type Key struct {
	Namespace, Name string
	UID             types.UID
}

// Store keeps records. Set the exported fields before the first use; it is safe for concurrent use then
// and must not be copied.
type Store struct {
	// Client must not read from a cache: decisions rest on the live record.
	Client client.Client
	// Namespace is the operator's.
	Namespace string
	Keyring   *seal.Keyring
	// Holder names this process among all that ever run: not only the pod, whose container may restart.
	// What comes before a slash names its journal: another holder of that is a process that has ended.
	Holder string
	Clock  clock.PassiveClock
	// Retry is the schedule on which an unsaved record is tried again; nil means from 100 ms to 10 s.
	Retry func() backoff.BackOff
	// Journal keeps what is not saved yet from being lost with the process; nil means nowhere.
	Journal *journal.Journal

	keeper   keeper
	standing standing
}

// Get returns the live record, or the one the keeper still holds (Pending says so). It fails with
// ErrNotFound. With seal.ErrUnsealable it returns an empty record nevertheless, which knows what is
// stored: begun or saved, it takes the unreadable one's place. With ErrUnknownForm it returns none.
func (s *Store) Get(ctx context.Context, key Key) (*Record, error) {
	if held := s.keeper.held(key.UID); held != nil {
		return held, nil
	}
	return s.read(ctx, key)
}

// Delete removes the record and whatever is still to be saved of it.
func (s *Store) Delete(ctx context.Context, key Key) error {
	s.Forget(key.UID)
	err := s.Client.Delete(ctx, &corev1.Secret{ObjectMeta: s.name(key)})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete the record: %w", err)
	}
	return nil
}

// ForConnection returns the connection whose record a Secret with this metadata holds; false where it
// holds none.
func ForConnection(obj metav1.Object) (types.NamespacedName, bool) {
	namespace, name, ok := strings.Cut(obj.GetAnnotations()[ConnectionAnnotation], "/")
	if !ok || obj.GetLabels()[Label] != "true" {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, true
}

// WentBack says whether a record's Secret counts fewer refreshes than it did, as one from a backup does.
func WentBack(was, is metav1.Object) bool {
	before, _ := strconv.ParseInt(was.GetAnnotations()[RefreshesAnnotation], 10, 64)
	now, err := strconv.ParseInt(is.GetAnnotations()[RefreshesAnnotation], 10, 64)
	return before > now || err != nil && before > 0
}

func (s *Store) name(key Key) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.Namespace, Name: secretName(key.UID)}
}

func secretName(uid types.UID) string { return "oauth-" + string(uid) }

func (s *Store) read(ctx context.Context, key Key) (*Record, error) {
	secret := &corev1.Secret{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.name(key).Name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	record, err := s.open(ctx, key, secret)
	if err == nil {
		foreign := record.origin.intent
		if foreign != nil && foreign.Holder == s.Holder {
			foreign = nil
		}
		s.standing.note(key.UID, foreign, s.Clock.Now())
	}
	return record, err
}

// open returns what Get says of a Secret that was read.
func (s *Store) open(ctx context.Context, key Key, secret *corev1.Secret) (*Record, error) {
	encoded, err := s.Keyring.Unseal(ctx, seal.PurposeRecord, string(key.UID), secret.Data[dataKey])
	if errors.Is(err, seal.ErrUnsealable) {
		return &Record{origin: origin{version: secret.ResourceVersion}}, fmt.Errorf("record %s: %w", secret.Name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the record: %w", err)
	}
	record, err := decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", secret.Name, err)
	}
	record.origin = origin{version: secret.ResourceVersion, intent: copied(record.Intent)}
	return record, nil
}

// write stores a record in place of the version it came from: one request, no read. Where another
// version is there, or none, it fails with ErrConflict.
func (s *Store) write(ctx context.Context, key Key, r *Record) (*Record, error) {
	secret, err := s.secret(key, r)
	if err != nil {
		return nil, err
	}
	if r.origin.version == "" {
		err = s.Client.Create(ctx, secret, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			return nil, ErrConflict
		}
	} else {
		err = s.Client.Update(ctx, secret, client.FieldOwner(fieldManager))
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			return nil, ErrConflict
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	stored := r.clone()
	stored.origin = origin{version: secret.ResourceVersion, intent: copied(r.Intent)}
	return stored, nil
}

func (s *Store) secret(key Key, r *Record) (*corev1.Secret, error) {
	encoded, err := encode(r)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Keyring.Seal(seal.PurposeRecord, string(key.UID), encoded)
	if err != nil {
		return nil, err
	}
	meta := s.name(key)
	meta.ResourceVersion = r.origin.version
	// Nobody shares a record's fields. An empty entry ends their bookkeeping, which costs the API server
	// about as much as the write itself.
	meta.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	meta.Labels = map[string]string{Label: "true", v1alpha1.ConnectionUIDLabel: string(key.UID)}
	meta.Annotations = map[string]string{
		ConnectionAnnotation:    key.Namespace + "/" + key.Name,
		AuthorizationAnnotation: string(r.Authorization),
		RefreshesAnnotation:     strconv.FormatInt(r.Refreshes, 10),
	}
	if r.IDTokenCause != "" {
		meta.Annotations[IDTokenAnnotation] = "invalid"
	}
	return &corev1.Secret{ObjectMeta: meta, Type: RecordType, Data: map[string][]byte{dataKey: sealed}}, nil
}
