// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/publish"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	tokenPath, introspectPath = "/token", "/introspect"
	renewed                   = `{"access_token":"next","refresh_token":"next-refresh","expires_in":3600}`
	reused                    = `400 {"error":"invalid_grant"}`
)

// doubtful is a pass over a stored record, at a provider that answers as it is told.
type doubtful struct {
	*pass
	t       *testing.T
	answers map[string]string // by path; empty: the connection breaks after the request was sent
	asked   []string
	events  *events.FakeRecorder
	elapsed *clocktesting.FakePassiveClock
	api     client.Client
	metrics *prometheus.Registry
}

func newDoubtful(t *testing.T, change func(*pass)) *doubtful {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	d := &doubtful{t: t, metrics: prometheus.NewRegistry(), answers: map[string]string{}, events: events.NewFakeRecorder(20), elapsed: clocktesting.NewFakePassiveClock(noon)}
	d.pass = walkAt(noon.Add(-50*time.Minute), func(p *pass) {
		p.conn.UID = "uid"
		p.Starts.Modes.Pairing = true
		p.record.AuthorizedAt, p.record.Authorization = noon.Add(-time.Hour), "consent"
		p.client.Rotation = oauth.Rotating
		p.client.Clock = d.elapsed.Now
		p.client.Endpoints = oauth.Endpoints{Token: "https://idp.example.com" + tokenPath}
		p.client.HTTP = &http.Client{Transport: roundTripper(d.answer)}
		change(p)
	})
	d.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(d.conn).Build()
	keyring, err := seal.Open(t.Context(), seal.SecretSource(d.api, types.NamespacedName{Namespace: "operator", Name: "keyset"}, nil))
	metrics, metricsErr := NewMetrics(d.metrics, d.api, func() int { return 0 })
	if err := errors.Join(err, metricsErr); err != nil {
		t.Fatal(err)
	}
	d.Clock, d.Events, d.Metrics = d.elapsed, d.events, metrics
	d.Publisher = &publish.Publisher{Client: d.api}
	d.Store = &tokenstore.Store{Client: d.api, Namespace: "operator", Keyring: keyring, Holder: "this", Clock: d.elapsed}
	d.key = tokenstore.Key{Namespace: d.conn.Namespace, Name: d.conn.Name, UID: d.conn.UID}
	d.stored(d.Store.Replace(t.Context(), d.key, d.record))
	return d
}

func (d *doubtful) stored(r *tokenstore.Record, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	d.record = r
}

func (d *doubtful) answer(r *http.Request) (*http.Response, error) {
	d.asked = append(d.asked, r.URL.Path)
	text := d.answers[r.URL.Path]
	status := http.StatusOK
	if refusal, ok := strings.CutPrefix(text, "400 "); ok {
		status, text = http.StatusBadRequest, refusal
	}
	if refusal, ok := strings.CutPrefix(text, "503 "); ok {
		status, text = http.StatusServiceUnavailable, refusal
	}
	// Without a body it is an answer that cannot be read: the request was sent.
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}

func (d *doubtful) count(path string) (n int) {
	for _, asked := range d.asked {
		if asked == path {
			n++
		}
	}
	return n
}

// look is a pass at a later moment that starts from what is stored. It returns TokenFresh or, where that was
// not asked, Authorized.
func (d *doubtful) look(after time.Duration) *metav1.Condition {
	d.t.Helper()
	d.elapsed.SetTime(d.elapsed.Now().Add(after))
	d.now, d.results, d.wakeAt, d.personNeeded = d.elapsed.Now(), nil, time.Time{}, false
	if err := d.load(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	meta.SetStatusCondition(&d.conn.Status.Conditions, metav1.Condition{Type: v1alpha1.SecretPublishedCondition, Status: metav1.ConditionTrue})
	if err := d.settleStep(v1alpha1.AuthorizedCondition, d.authorize(d.t.Context())); err != nil {
		d.t.Fatal(err)
	}
	last := v1alpha1.AuthorizedCondition
	if d.stopped() == nil {
		if err := d.settleStep(v1alpha1.TokenFreshCondition, d.renew(d.t.Context())); err != nil {
			d.t.Fatal(err)
		}
		last = v1alpha1.TokenFreshCondition
	}
	if err := d.summarize(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	if authorized := meta.FindStatusCondition(d.conn.Status.Conditions, v1alpha1.AuthorizedCondition); authorized.Status == metav1.ConditionFalse {
		last = v1alpha1.AuthorizedCondition
	}
	return meta.FindStatusCondition(d.conn.Status.Conditions, last)
}

// killed leaves an intent of another process, and has it seen early enough to be taken over at its deadline.
func (d *doubtful) killed() {
	d.t.Helper()
	other := &tokenstore.Store{Client: d.api, Namespace: "operator", Keyring: d.Store.Keyring, Holder: "dead", Clock: d.elapsed}
	seen, err := other.Get(d.t.Context(), d.key)
	if err == nil {
		_, err = other.Begin(d.t.Context(), d.key, seen)
	}
	if err == nil {
		_, err = d.Store.Get(d.t.Context(), d.key)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *doubtful) says(c *metav1.Condition, reason string, words ...string) {
	d.t.Helper()
	if c.Reason != reason {
		d.t.Errorf("%s is %s (%s), want %s: %s", c.Type, c.Status, c.Reason, reason, c.Message)
	}
	for _, part := range words {
		if !strings.Contains(c.Message, part) {
			d.t.Errorf("the message is %q; it does not say %q", c.Message, part)
		}
	}
}

func (d *doubtful) announced(reason string) (n int) {
	for {
		select {
		case e := <-d.events.Events:
			if strings.Contains(e, " "+reason+" ") {
				n++
			}
		default:
			return n
		}
	}
}

// counted is the value of a counter without labels.
func (d *doubtful) counted(name string) float64 {
	d.t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}
