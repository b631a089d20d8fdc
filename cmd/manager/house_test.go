// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/controllers"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// house is a housekeeper of one namespace, beside the operator that runs, with a clock of its own and
// the operator's rights.
type house struct {
	*world
	*controllers.Housekeeper
	clock *clocktesting.FakePassiveClock
	// list stands between the housekeeper and the API server's lists of connections; nil: nothing does.
	list func(client.ObjectList) error

	mu  sync.Mutex
	log []string
}

func newHouse(w *world, namespaces ...string) *house {
	w.Helper()
	h := &house{world: w, clock: clocktesting.NewFakePassiveClock(time.Now())}
	keyring, err := seal.Open(w.Context(), seal.SecretSource(env.Client, types.NamespacedName{Namespace: testenv.OperatorNamespace, Name: keysetName}, nil))
	if err != nil {
		w.Fatal(err)
	}
	presets, err := catalog.Load()
	if err != nil {
		w.Fatal(err)
	}
	o, err := parse([]string{"--namespace=" + testenv.OperatorNamespace, "--allow-http", "--allow-cidr=127.0.0.0/8"})
	if err != nil {
		w.Fatal(err)
	}
	counters, err := controllers.NewHousekeepingMetrics(prometheus.NewRegistry(), keyring)
	if err != nil {
		w.Fatal(err)
	}
	config, err := env.OperatorConfig(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	direct, err := client.NewWithWatch(config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		w.Fatal(err)
	}
	live := interceptor.NewClient(direct, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if kind := list.GetObjectKind().GroupVersionKind().Kind; kind == "OAuthConnectionList" && h.list != nil {
				if err := h.list(list); err != nil {
					return err
				}
			}
			return c.List(ctx, list, opts...)
		},
	})
	h.Housekeeper = &controllers.Housekeeper{
		Cache: env.Client, Live: live, Clock: h.clock, Metrics: counters, Served: append(namespaces, w.namespace),
		Store: &tokenstore.Store{Client: live, Namespace: testenv.OperatorNamespace, Keyring: keyring, Holder: "house", Clock: h.clock},
		Resolver: &provider.Resolver{
			Reader: env.Client, Secrets: live, HTTP: egress.NewClient(o.egress), Policy: o.egress,
			PublicURL: publicURL, Namespace: testenv.OperatorNamespace, Catalog: presets,
		},
	}
	return h
}

// round is one of the leader's, so long after the last.
func (h *house) round(after time.Duration) error {
	h.clock.SetTime(h.clock.Now().Add(after))
	logger := funcr.New(func(_, line string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.log = append(h.log, line)
	}, funcr.Options{})
	return h.TendRecords(log.IntoContext(h.Context(), logger))
}

// swept runs the rounds after which a record without connection is gone.
func (h *house) swept() {
	h.Helper()
	for _, after := range []time.Duration{0, 10 * time.Minute} {
		if err := h.round(after); err != nil {
			h.Fatal(err)
		}
	}
}

// said is whether the log has a line with these words.
func (h *house) said(words string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(strings.Join(h.log, "\n"), words)
}

// forceAway deletes a connection as those do who cannot wait: without its finalizer.
func (w *world) forceAway(conn *v1alpha1.OAuthConnection) {
	w.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := env.Client.Patch(w.Context(), conn, patch); err != nil {
		w.Fatal(err)
	}
	if err := env.Client.Delete(w.Context(), conn); err != nil {
		w.Fatal(err)
	}
	gone := conn.DeepCopy()
	w.gone(gone)
}
