// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// roundEvery is how often the housekeeper looks around, keysRetry how soon again where the keyset could
	// not be read: meanwhile this replica may seal with an old key.
	roundEvery, keysRetry = seal.RereadInterval, 30 * time.Second
	// resealRate is how many records are sealed anew in a second: what somebody waits for comes first.
	resealRate = 50
)

// Housekeeper looks after what belongs to no reconciliation: the keyset, records sealed with an old key,
// and records whose connection is gone.
type Housekeeper struct {
	// Cache has connections, namespaces, and of Secrets the metadata of records.
	Cache client.Reader
	// Live lists connections at the API server.
	Live     client.Reader
	Store    *tokenstore.Store
	Resolver *provider.Resolver
	Clock    clock.PassiveClock
	Metrics  *HousekeepingMetrics
	// Served are the namespaces whose connections this operator looks after; empty: all.
	Served []string

	// told is the keyset whose loss of keys was logged.
	told int

	resealing sync.Mutex
	// resealed is the keyset, as Keyring.Changes counts, whose key seals all records.
	resealed int

	// suspects are records without connection, since when.
	suspects map[types.UID]time.Time
}

// HousekeepingMetrics tell how keyset and records stand.
type HousekeepingMetrics struct {
	oldKey prometheus.Gauge
	swept  *prometheus.CounterVec
}

// NewHousekeepingMetrics registers them.
func NewHousekeepingMetrics(registry prometheus.Registerer, keyring *seal.Keyring) (*HousekeepingMetrics, error) {
	m := &HousekeepingMetrics{
		oldKey: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "oauth_operator_records_old_key",
			Help: "Records that are still to be sealed with the keyset's primary key. The leader tells.",
		}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_operator_swept_records_total",
			Help: "Records removed because their connection is gone, by whether the provider ended the grant.",
		}, []string{"revoked"}),
	}
	missing := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "oauth_operator_keyset_missing",
		Help: "1 while the Secret of the keyset is missing or holds none. Restore it before the operator restarts.",
	}, func() float64 {
		if keyring.Missing() {
			return 1
		}
		return 0
	})
	var errs []error
	for _, c := range []prometheus.Collector{m.oldKey, m.swept, missing} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

// SetupWithManager has every replica look after its keys, and the leader after the records.
func (h *Housekeeper) SetupWithManager(mgr ctrl.Manager) error {
	return errors.Join(mgr.Add(&rounds{run: h.TendKeys, retry: keysRetry}), mgr.Add(&rounds{run: h.TendRecords, retry: roundEvery, leader: true}))
}

// rounds runs something over and over.
type rounds struct {
	run    func(context.Context) error
	retry  time.Duration
	leader bool
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *rounds) NeedLeaderElection() bool { return r.leader }

// Start implements manager.Runnable. It returns when ctx ends.
func (r *rounds) Start(ctx context.Context) error {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("housekeeping"))
	for {
		next := roundEvery
		if err := r.run(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Info("housekeeping is not done; it is tried again", "cause", err.Error())
			next = r.retry
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return nil
		}
	}
}

// TendKeys is one round of every replica: it takes up what became of the keyset. A replica that knows keys
// which the keyset has lost is perhaps the only one: it seals anew whatever needs them, leader or not.
func (h *Housekeeper) TendKeys(ctx context.Context) error {
	keyring := h.Store.Keyring
	if err := keyring.Reread(ctx); err != nil {
		return err
	}
	lost := keyring.Lost()
	if lost == 0 {
		return nil
	}
	if change := keyring.Changes(); h.told != change {
		h.told = change
		log.FromContext(ctx).Info("the keyset has lost keys; until this process ends they open records, which are sealed anew", "keys", lost)
	}
	return h.reseal(ctx)
}

// TendRecords is one round of the leader: old keys, then lost connections.
func (h *Housekeeper) TendRecords(ctx context.Context) error {
	return errors.Join(h.reseal(ctx), h.sweep(ctx))
}

// reseal seals all records with the primary key, once for each keyset. Another replica may still seal with
// the key before; so only a walk that finds nothing to do is the last.
func (h *Housekeeper) reseal(ctx context.Context) error {
	h.resealing.Lock()
	defer h.resealing.Unlock()
	change := h.Store.Keyring.Changes()
	if h.resealed == change {
		return nil
	}
	sealed, err := h.Store.Sealed(ctx)
	if err != nil {
		return err
	}
	delete(sealed, h.Store.Keyring.Primary())
	left, done, unreadable := 0, 0, 0
	for _, keys := range sealed {
		left += len(keys)
	}
	limiter := rate.NewLimiter(resealRate, 1)
	for _, keys := range sealed {
		for _, key := range keys {
			h.Metrics.oldKey.Set(float64(left))
			if err := limiter.Wait(ctx); err != nil {
				return err
			}
			switch err := h.Store.Reseal(ctx, key); {
			case err == nil:
				done++
				left--
			case errors.Is(err, seal.ErrUnsealable): // the connection's condition says so
				unreadable++
				left--
			case !errors.Is(err, tokenstore.ErrConflict) && !errors.Is(err, tokenstore.ErrNotFound):
				return err
			}
		}
	}
	h.Metrics.oldKey.Set(float64(left))
	if done > 0 || unreadable > 0 {
		log.FromContext(ctx).Info("records were sealed with the primary key", "records", done, "left", left, "unreadable", unreadable)
	}
	if done == 0 && left == 0 {
		h.resealed = change
	}
	return nil
}
