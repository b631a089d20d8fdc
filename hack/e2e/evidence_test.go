// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv"
	"github.com/oauth-operator/oauth-operator/internal/testenv/plugin"
)

// evidence is what all worlds saw of the operator.
type evidence struct {
	mu sync.Mutex
	// said is what people can read, by its source.
	said map[string][]byte
	// logs are still being written to.
	logs []func() string
	// secrets are the values that must be in none of it.
	secrets []string
	// proofs are the values that let a browser go on, and must be in nothing but its own pages.
	proofs []string
	// asked are the operator's requests to the API server.
	asked map[request]int
	// complete is set by the story that uses every right.
	complete bool
}

func newEvidence() *evidence {
	return &evidence{said: map[string][]byte{}, asked: map[request]int{}}
}

// request is what RBAC decides on, and what the answer was.
type request struct {
	verb, group, resource, namespace string
	status                           int32
}

func (e *evidence) add(source, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said[source] = append(append(e.said[source], text...), '\n')
}

// page keeps what a browser shows, and the headers but those that carry the flow itself: the cookie
// is sealed, and the state is the provider's to see.
func (e *evidence) page(header http.Header, body []byte) {
	header = header.Clone()
	header.Del("Set-Cookie")
	header.Del("Location")
	text, _ := json.Marshal(header)
	e.add("page", string(text)+"\n"+string(body))
}

// carried keeps what browsers bring along in an address: states, and the proofs of kubectl oauth.
func (e *evidence) carried(query url.Values) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secrets = append(e.secrets, query["state"]...)
	e.proofs = append(e.proofs, query["proof"]...)
}

// plugin keeps what kubectl oauth printed, but for the query of the one address that its person has to
// open. That has the state that nothing else may say.
func (e *evidence) plugin(p *plugin.Process) {
	printed := p.Output()
	if address, err := url.Parse(p.Printed()); err == nil && address.RawQuery != "" {
		e.carried(address.Query())
		printed = strings.Replace(printed, "?"+address.RawQuery, "", 1)
	}
	e.add("plugin", printed)
}

// log keeps a log that goes on being written.
func (e *evidence) log(log func() string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.logs = append(e.logs, log)
}

// watched are the kinds whose every version is kept.
func watched() map[string]client.ObjectList {
	return map[string]client.ObjectList{
		"OAuthConnection":      &v1alpha1.OAuthConnectionList{},
		"OAuthAuthorization":   &v1alpha1.OAuthAuthorizationList{},
		"OAuthProvider":        &v1alpha1.OAuthProviderList{},
		"ClusterOAuthProvider": &v1alpha1.ClusterOAuthProviderList{},
		"Event":                &eventsv1.EventList{},
	}
}

// record keeps every version of every object that people may read, until the function it returns is
// called.
func (w *world) record(t *testing.T) (stop func()) {
	t.Helper()
	c, err := client.NewWithWatch(w.env.Config, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	for kind, list := range watched() {
		watches.Go(func() {
			for ctx.Err() == nil {
				w.follow(ctx, c, kind, list)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond): // an API server that is away
				}
			}
		})
	}
	return func() {
		cancel()
		watches.Wait()
	}
}

// follow watches from the present state on, until the API server ends the watch.
func (w *world) follow(ctx context.Context, c client.WithWatch, kind string, list client.ObjectList) {
	watch, err := c.Watch(ctx, list)
	if err != nil {
		return
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		if object, ok := event.Object.(client.Object); ok {
			w.evidence.object(kind, object)
		}
	}
}

// object keeps all of an object but the one address in status that is meant for the browser, and the code
// that kubectl oauth hands over with redirect Loopback: it is of no use without the verifier.
func (e *evidence) object(kind string, object client.Object) {
	object.SetManagedFields(nil)
	switch o := object.(type) {
	case *v1alpha1.OAuthConnection:
		o.Status.AuthorizationURL = ""
	case *v1alpha1.OAuthAuthorization:
		o.Status.AuthorizationURL = ""
		if o.Spec.Response != nil {
			o.Spec.Response.Code = ""
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		text = []byte(err.Error())
	}
	e.add(kind, string(text))
}

// testify adds what is complete only when the operators have ended.
func (w *world) testify(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.env.SyncAudit(ctx); err != nil {
		t.Error(err)
		return
	}
	e := w.evidence
	e.mu.Lock()
	e.secrets = append(e.secrets, w.secret)
	e.secrets = append(append(e.secrets, w.provider.Issued()...), w.provider.Received()...)
	e.mu.Unlock()
	if _, err := w.env.AuditEvents(func(event *auditv1.Event) bool {
		if event.User.Username == testenv.OperatorUser && event.ObjectRef != nil && !w.starting(event) {
			e.ask(event)
		}
		return false
	}); err != nil {
		t.Error(err)
	}
}

// starting says that a request met an API server that did not know its roles yet: it refuses everything
// then.
func (w *world) starting(event *auditv1.Event) bool {
	at := event.RequestReceivedTimestamp.Time
	return w.outage.from.Before(at) && at.Before(w.outage.to)
}

func (e *evidence) ask(event *auditv1.Event) {
	r := request{
		verb: event.Verb, group: event.ObjectRef.APIGroup,
		resource: event.ObjectRef.Resource, namespace: event.ObjectRef.Namespace,
	}
	if event.ObjectRef.Subresource != "" {
		r.resource += "/" + event.ObjectRef.Subresource
	}
	if event.ResponseStatus != nil {
		r.status = event.ResponseStatus.Code
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked[r]++
}
