// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import "github.com/prometheus/client_golang/prometheus"

// outcome is how a visit ended that started or ended an attempt.
type outcome string

const (
	outcomeStarted        outcome = "started"
	outcomeConnected      outcome = "connected"
	outcomeDenied         outcome = "denied"
	outcomeExchangeFailed outcome = "exchange_failed"
	outcomeRejected       outcome = "rejected"
	outcomeThrottled      outcome = "throttled"
)

// Metrics are the server's counters.
type Metrics struct{ authorizations *prometheus.CounterVec }

// NewMetrics makes the counters and registers them. It panics where that was done before.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "oauth_operator_authorizations_total",
		Help: "Visits to the callback server by outcome: started, connected, denied, exchange_failed, rejected, throttled.",
	}, []string{"outcome"})}
	r.MustRegister(m.authorizations)
	for _, o := range []outcome{outcomeStarted, outcomeConnected, outcomeDenied, outcomeExchangeFailed, outcomeRejected, outcomeThrottled} {
		m.authorizations.WithLabelValues(string(o))
	}
	return m
}

func (m *Metrics) count(o outcome) { m.authorizations.WithLabelValues(string(o)).Inc() }
