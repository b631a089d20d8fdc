// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// sweepAfter is how long a record has to have been without connection.
	sweepAfter = 10 * time.Minute
	// sweepShare is for how long the providers of one namespace are asked in a round: the rest of its records
	// waits for the next. orphansOfOne is how many may wait: more are removed unasked.
	sweepShare, orphansOfOne = 10 * time.Second, 2000
	// sweepTimeout bounds the removal of one record, which does not end with the process half done.
	sweepTimeout = 30 * time.Second
	// listedAtOnce bounds a page of a list.
	listedAtOnce = 500
)

// sweep removes records whose connection is gone although its finalizer was never run. The cache says
// which might be; only a list of the API server that succeeded, twice, ten minutes apart, says that one is.
func (h *Housekeeper) sweep(ctx context.Context) error {
	unknown, err := h.withoutConnection(ctx)
	if err != nil {
		return err
	}
	now, suspects := h.Clock.Now(), map[types.UID]time.Time{}
	var failed []error
	gone := map[string][]tokenstore.Key{}
	for namespace, keys := range unknown {
		living, err := h.living(ctx, namespace)
		if err != nil {
			failed = append(failed, err)
		}
		for _, key := range keys {
			since, before := h.suspects[key.UID]
			switch {
			case err != nil && before:
				suspects[key.UID] = since // neither seen nor missed
			case err != nil, living.Has(key.UID):
			case !before:
				suspects[key.UID] = now
			default:
				suspects[key.UID] = since
				if now.Sub(since) >= sweepAfter {
					gone[namespace] = append(gone[namespace], key)
				}
			}
		}
	}
	h.suspects = suspects
	return errors.Join(append(failed, h.remove(ctx, gone))...)
}

// withoutConnection are the records, by the connection's namespace, whose connection the cache does not have.
func (h *Housekeeper) withoutConnection(ctx context.Context) (map[string][]tokenstore.Key, error) {
	records := &metav1.PartialObjectMetadataList{}
	records.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := h.Cache.List(ctx, records, client.InNamespace(h.Store.Namespace), client.MatchingLabels{tokenstore.Label: "true"}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, err
	}
	var connections v1alpha1.OAuthConnectionList
	if err := h.Cache.List(ctx, &connections, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	known := sets.New[types.UID]()
	for i := range connections.Items {
		known.Insert(connections.Items[i].UID)
	}
	unknown := map[string][]tokenstore.Key{}
	for i := range records.Items {
		key, ok := tokenstore.KeyOf(&records.Items[i])
		served := len(h.Served) == 0 || slices.Contains(h.Served, key.Namespace)
		if ok && served && !known.Has(key.UID) {
			unknown[key.Namespace] = append(unknown[key.Namespace], key)
		}
	}
	return unknown, nil
}

// living are the connections of a namespace, as the API server has them now. To ask for one by name would
// not do: where the kind itself is missing, the answer is that there is no such object.
func (h *Housekeeper) living(ctx context.Context, namespace string) (sets.Set[types.UID], error) {
	living := sets.New[types.UID]()
	for next := ""; ; {
		page := &metav1.PartialObjectMetadataList{} // a fresh one: what an answer leaves out would stay
		page.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OAuthConnectionList"))
		if err := h.Live.List(ctx, page, client.InNamespace(namespace), client.Limit(listedAtOnce), client.Continue(next)); err != nil {
			return nil, err
		}
		for i := range page.Items {
			living.Insert(page.Items[i].UID)
		}
		if next = page.Continue; next == "" {
			return living, nil
		}
	}
}

// remove gives grants up and deletes their records. Whoever may edit connections can leave any number of
// them, at a provider that does not answer: namespaces have a share of the time each.
func (h *Housekeeper) remove(ctx context.Context, gone map[string][]tokenstore.Key) error {
	if len(gone) == 0 {
		return nil
	}
	going := sets.New[tokenstore.Key]()
	for _, keys := range gone {
		going.Insert(keys...)
	}
	// At some providers a revocation ends every grant of an account to a client.
	shared := sets.New[account]()
	err := h.Store.Records(ctx, func(key tokenstore.Key, r *tokenstore.Record) {
		if !going.Has(key) {
			shared.Insert(accountOf(r))
		}
	})
	if err != nil {
		return err
	}
	var failed []error
	for _, keys := range gone {
		failed = append(failed, h.removeOf(ctx, keys, shared))
	}
	return errors.Join(failed...)
}

// removeOf removes records of one namespace.
func (h *Housekeeper) removeOf(ctx context.Context, keys []tokenstore.Key, shared sets.Set[account]) error {
	var failed []error
	for i, began := 0, time.Now(); i < len(keys); i++ {
		ask := time.Since(began) < sweepShare
		if !ask && len(keys)-i <= orphansOfOne {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, h.removeOne(ctx, keys[i], ask, shared))
	}
	return errors.Join(failed...)
}

// account is whose grant a record holds, and at which client.
type account struct{ fingerprint, name string }

func accountOf(r *tokenstore.Record) account { return account{r.Fingerprint, r.Account} }

func (h *Housekeeper) removeOne(ctx context.Context, key tokenstore.Key, ask bool, shared sets.Set[account]) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	record, err := h.Store.Orphan(ctx, key)
	cause := ""
	switch {
	case errors.Is(err, seal.ErrUnsealable):
		cause = "the record cannot be opened"
	case errors.Is(err, tokenstore.ErrNotFound), errors.Is(err, tokenstore.ErrInFlight), errors.Is(err, tokenstore.ErrUnsaved),
		errors.Is(err, tokenstore.ErrUnknownForm): // it is for the version that wrote it
		return nil
	case err != nil:
		return err
	case !ask:
		cause = "its namespace left more such records than can be asked about"
	case shared.Has(accountOf(record)):
		cause = "another connection holds a grant of the same account"
	default:
		cause = h.giveUp(ctx, key, record)
	}
	err = h.Store.Remove(ctx, key, record)
	if errors.Is(err, tokenstore.ErrConflict) {
		return nil // somebody still writes it
	}
	if err != nil {
		return err
	}
	delete(h.suspects, key.UID)
	logger := log.FromContext(ctx).WithValues("connection", key.Namespace+"/"+key.Name, "uid", string(key.UID))
	if cause == "" {
		h.Metrics.swept.WithLabelValues("true").Inc()
		logger.Info("the record of a connection that is gone is removed, and the provider ended the grant")
		return nil
	}
	h.Metrics.swept.WithLabelValues("false").Inc()
	logger.Info("the record of a connection that is gone is removed; the grant may live on: end it at the provider by hand if nobody needs it", "cause", cause)
	return nil
}

// giveUp has the provider end a grant, and says why it did not.
func (h *Housekeeper) giveUp(ctx context.Context, key tokenstore.Key, record *tokenstore.Record) (cause string) {
	conn := provider.Recall(key.Namespace, key.Name, record.Spec)
	switch {
	case conn == nil:
		return "the record does not say how to reach the provider"
	case conn.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan:
		return "deletionPolicy was Orphan"
	}
	err := revoke(ctx, record, func(ctx context.Context) (*provider.Resolved, error) {
		return h.Resolver.Gone(ctx, conn, record.LastUsed())
	})
	if err == nil {
		return ""
	}
	return err.Error()
}
