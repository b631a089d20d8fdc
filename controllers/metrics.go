// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// Metrics counts what the reconcilers do.
type Metrics struct {
	refreshes *prometheus.CounterVec
	duration  prometheus.Histogram
	restored  prometheus.Counter
}

// NewMetrics registers the reconcilers' metrics. The expiry and readiness of each connection are
// read from the cache at each scrape, so that they cost no memory in between; unsaved tells how
// many tokens wait for the API server.
func NewMetrics(registry prometheus.Registerer, connections client.Reader, unsaved func() int) (*Metrics, error) {
	m := &Metrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "oauth_operator_refresh_total",
			Help: "Token requests by outcome: success or the class of the failure.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "oauth_operator_refresh_duration_seconds",
			Help:    "How long the token endpoint took to answer.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}),
	}
	m.restored = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "oauth_operator_restored_records_total",
		Help: "Stored grants that turned out to be older than what was known of them: somebody restored a backup.",
	})
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "oauth_operator_unsaved_tokens",
		Help: "Tokens held in memory until the API server takes them. Do not kill the operator while it is above zero.",
	}, func() float64 { return float64(unsaved()) })
	var errs []error
	for _, c := range []prometheus.Collector{m.refreshes, m.duration, m.restored, waiting, &connectionCollector{connections: connections}} {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *Metrics) observeRefresh(err error, took time.Duration) {
	outcome := "success"
	var cause *oauth.Error
	if errors.As(err, &cause) {
		outcome = cause.Kind.String()
	} else if err != nil {
		outcome = "error"
	}
	m.refreshes.WithLabelValues(outcome).Inc()
	m.duration.Observe(took.Seconds())
}

// connectionCollector tells of each connection what its status says.
type connectionCollector struct{ connections client.Reader }

func (*connectionCollector) descs() (expiry, ready *prometheus.Desc) {
	labels := []string{"namespace", "name"}
	return prometheus.NewDesc("oauth_operator_token_expiry_timestamp_seconds", "Expiry of the access token, in Unix seconds.", labels, nil),
		prometheus.NewDesc("oauth_operator_connection_ready", "1 while the condition Ready is True, else 0.", labels, nil)
}

// Describe implements prometheus.Collector.
func (c *connectionCollector) Describe(out chan<- *prometheus.Desc) {
	expiry, ready := c.descs()
	out <- expiry
	out <- ready
}

// Collect implements prometheus.Collector.
func (c *connectionCollector) Collect(out chan<- prometheus.Metric) {
	var list v1alpha1.OAuthConnectionList
	if err := c.connections.List(context.Background(), &list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	expiry, ready := c.descs()
	for i := range list.Items {
		conn := &list.Items[i]
		if at := conn.Status.ExpiresAt; at != nil {
			out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(at.Unix()), conn.Namespace, conn.Name)
		}
		up := 0.0
		if meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.ReadyCondition) {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(ready, prometheus.GaugeValue, up, conn.Namespace, conn.Name)
	}
}
