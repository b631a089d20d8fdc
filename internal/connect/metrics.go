// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import "github.com/prometheus/client_golang/prometheus"

// The outcomes that are counted.
const (
	outcomeStarted        = "started"
	outcomeConnected      = "connected"
	outcomeDenied         = "denied"
	outcomeExchangeFailed = "exchange_failed"
	outcomeRejected       = "rejected"
	outcomeThrottled      = "throttled"
)

// Metrics are the counters of attempts and visits.
type Metrics struct{ authorizations *prometheus.CounterVec }

// NewMetrics makes the counters and registers them. It panics where that was done before.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "oauth_operator_authorizations_total",
		Help: "Attempts to connect an account and visits to the callback server by outcome: started, connected, denied, exchange_failed, rejected, throttled.",
	}, []string{"outcome"})}
	r.MustRegister(m.authorizations)
	for _, o := range []string{outcomeStarted, outcomeConnected, outcomeDenied, outcomeExchangeFailed, outcomeRejected, outcomeThrottled} {
		m.authorizations.WithLabelValues(o)
	}
	return m
}

// Started counts a person who is sent to a provider.
func (m *Metrics) Started() { m.authorizations.WithLabelValues(outcomeStarted).Inc() }

// Rejected counts a visit or a response that was refused and consumed nothing.
func (m *Metrics) Rejected() { m.authorizations.WithLabelValues(outcomeRejected).Inc() }

// Throttled counts a visit from an address that sends too many.
func (m *Metrics) Throttled() { m.authorizations.WithLabelValues(outcomeThrottled).Inc() }

// count counts how a claimed attempt ended.
func (m *Metrics) count(v Verdict) {
	outcome := outcomeExchangeFailed
	switch v {
	case Connected, ConnectedUnsaved:
		outcome = outcomeConnected
	case Denied, ProviderFailed, RequestRefused:
		outcome = outcomeDenied
	}
	m.authorizations.WithLabelValues(outcome).Inc()
}
