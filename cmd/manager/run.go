// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/controllers"
	"github.com/oauth-operator/oauth-operator/internal/callback"
	"github.com/oauth-operator/oauth-operator/internal/clusterclock"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// keysetName is the Secret of the keyset, in the operator's namespace.
const keysetName = "oauth-operator-keyset"

// run wires the parts and works until ctx ends and every token is saved.
func run(ctx context.Context, o *options) error {
	self, err := identify(ctx, o.journalDir)
	if err != nil {
		return fmt.Errorf("--journal-dir: %w", err)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// API Priority and Fairness decides what is too much, not a bucket in the client.
	config.QPS = -1
	now := clusterclock.New(nodeTime)
	config.Wrap(now.Observe)
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	live, err := newLiveClient(config, scheme)
	if err != nil {
		return err
	}
	keyring, err := awaitKeyring(self.patient(ctx), live, o.namespace)
	if err != nil {
		return err
	}
	store := &tokenstore.Store{
		Client: live, Namespace: o.namespace, Keyring: keyring, Clock: now, Holder: self.holder, Journal: self.journal,
	}
	if err = self.replay(ctx, store, metrics.Registry); err == nil {
		var end func()
		if end, err = serveMetrics(ctx, o.metricsAddr); err == nil {
			defer end()
			err = work(ctx, config, self.id, o, live, keyring, store, now)
		}
	}
	// Past a lost lease, a signal or a start that failed: an answer of a provider that is not saved yet cannot be had again.
	if waiting := store.Unsaved(); waiting > 0 {
		log.Log.Info("waiting until every token is saved", "tokens", waiting)
	}
	return errors.Join(err, store.Flush(context.Background()))
}

// work runs the manager until ctx ends or the lease is lost.
func work(ctx context.Context, config *rest.Config, id string, o *options, live client.Client, keyring *seal.Keyring, store *tokenstore.Store, now *clusterclock.Clock) error {
	mgr, err := newManager(config, live.Scheme(), o, id)
	if err != nil {
		return err
	}
	if err := wire(ctx, mgr, o, live, keyring, store, now); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("cache", cacheSynced(mgr)); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// wire makes the reconcilers and the callback server.
func wire(ctx context.Context, mgr ctrl.Manager, o *options, live client.Client, keyring *seal.Keyring, store *tokenstore.Store, now *clusterclock.Clock) error {
	presets, err := catalog.Load()
	if err != nil {
		return err
	}
	guarded := egress.NewClient(o.egress)
	signIn, err := o.signIn.pages(o, live, guarded, keyring, now)
	if err != nil {
		return err
	}
	api, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return err
	}
	resolver := &provider.Resolver{
		Reader: mgr.GetClient(), Secrets: live, HTTP: guarded, Policy: o.egress,
		PublicURL: o.publicURL, Namespace: o.namespace, Clock: now, Catalog: presets,
		Tokens: provider.NewServiceAccountTokens(api),
	}
	publisher := &publish.Publisher{Client: live}
	if o.watchTargets {
		if err := publish.IndexFields(ctx, mgr.GetFieldIndexer()); err != nil {
			return err
		}
		publisher.Metadata = mgr.GetCache()
	}
	counters, err := controllers.NewMetrics(metrics.Registry, mgr.GetCache(), store.Unsaved)
	if err != nil {
		return err
	}
	connections := &controllers.ConnectionReconciler{
		Client: mgr.GetClient(), Resolver: resolver, Store: store, Publisher: publisher,
		Events: mgr.GetEventRecorder("oauth-operator"), Metrics: counters, Clock: now,
		Starts:      controllers.Starts{Modes: o.modes(), Keyring: keyring, PublicURL: o.publicURL},
		Concurrency: o.concurrency,
	}
	now.OnJump(wakeAfterJump(ctx, connections))
	attempts := &connect.Attempts{
		Connections: mgr.GetClient(), Client: live, Resolver: resolver, Store: store, Keyring: keyring,
		Clock: now, Events: mgr.GetEventRecorder("oauth-operator"),
		Metrics: connect.NewMetrics(metrics.Registry), Modes: o.modes(),
	}
	pages := &callback.Server{
		Attempts: attempts, Authorizations: mgr.GetClient(), PublicURL: o.publicURL, SignIn: signIn,
		Limits: callback.Limits{PerMinute: o.requestsPerMinute, Burst: max(o.requestsPerMinute/2, 1), TrustedProxies: o.proxies},
	}
	server := &pageServer{handler: pages.Handler(), addr: o.callbackAddr, certDir: o.callbackCertDir}
	return errors.Join(
		connections.SetupWithManager(ctx, mgr),
		connections.RegisterPace(metrics.Registry),
		registerClock(metrics.Registry, now),
		(&controllers.AuthorizationReconciler{Client: mgr.GetClient(), Attempts: attempts, PublicURL: o.publicURL, Clock: now}).SetupWithManager(mgr),
		(&controllers.ProviderReconciler{Client: mgr.GetClient(), Resolver: resolver}).SetupWithManager(mgr),
		keepHouse(mgr, o, live, store, resolver),
		mgr.Add(server),
		mgr.AddReadyzCheck("callback", server.ready),
	)
}

func newManager(config *rest.Config, scheme *runtime.Scheme, o *options, id string) (ctrl.Manager, error) {
	lock, err := leaseLock(config, o.namespace, id)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                              scheme,
		Cache:                               cacheOptions(o),
		Metrics:                             metricsserver.Options{BindAddress: "0"}, // see serveMetrics
		HealthProbeBindAddress:              o.probeAddr,
		LeaderElection:                      o.leaderElect,
		LeaderElectionResourceLockInterface: lock,
		LeaderElectionReleaseOnCancel:       true,
		RetryPeriod:                         ptr.To(leaseRetry),
		RenewDeadline:                       ptr.To(leaseDeadline),
		GracefulShutdownTimeout:             &o.shutdown,
	})
	if err != nil {
		return nil, err
	}
	lock.LockConfig.EventRecorder = mgr.GetEventRecorderFor("oauth-operator") //nolint:staticcheck // the lock takes no other kind
	return mgr, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// cacheOptions keep memory small: no managed fields, and of Secrets the metadata of records and
// targets only.
func cacheOptions(o *options) cache.Options {
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	labelled := publish.CacheOptions(tokenstore.Label, tokenstore.ConnectionAnnotation, tokenstore.AuthorizationAnnotation, tokenstore.IDTokenAnnotation, tokenstore.RefreshesAnnotation)
	served := map[string]cache.Config{}
	for _, namespace := range o.watchNamespaces {
		served[namespace] = cache.Config{}
	}
	if len(served) > 0 || !o.watchTargets {
		labelled.Namespaces = map[string]cache.Config{o.namespace: {}}
	}
	if o.watchTargets {
		maps.Copy(labelled.Namespaces, served)
	}
	return cache.Options{
		DefaultTransform:  slim,
		DefaultNamespaces: served,
		ByObject:          map[client.Object]cache.ByObject{secrets: labelled},
	}
}

// newLiveClient reads and writes at the API server: records, Secrets and attempts are never cached.
func newLiveClient(config *rest.Config, scheme *runtime.Scheme) (client.Client, error) {
	return client.New(config, client.Options{Scheme: scheme})
}

func cacheSynced(mgr ctrl.Manager) healthz.Checker {
	return func(r *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(r.Context()) {
			return errors.New("the cache is not filled yet")
		}
		return nil
	}
}
