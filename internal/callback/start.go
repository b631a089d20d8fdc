// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// consent shows what is asked, by whom and for which namespace. It writes nothing.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	at := placeOf(r)
	conn, resolved, problem := s.admit(r.Context(), at, ticket)
	if problem != 0 {
		showProblem(w, problem, at)
		return
	}
	allowFormAction(w, origin(resolved.Endpoints.Authorization))
	showConsent(w, consentPage{
		Namespace: conn.Namespace, Connection: conn.Name, Secret: conn.TargetName(), Account: conn.Status.Account,
		Provider: resolved.DisplayName, ClientID: resolved.ID, Scopes: resolved.Scopes,
		Ticket: ticket, Action: r.URL.Path,
	})
}

// start sends the browser to the provider.
func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	at := placeOf(r)
	conn, resolved, problem := s.admit(r.Context(), at, r.PostFormValue("ticket"))
	if problem != 0 {
		s.Metrics.count("rejected")
		showProblem(w, problem, at)
		return
	}
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    conn.Namespace,
			GenerateName: attemptPrefix(conn.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuthConnection", Name: conn.Name, UID: conn.UID,
			}},
		},
		Spec: v1alpha1.OAuthAuthorizationSpec{Connection: conn.Name},
	}
	err := s.Client.Create(r.Context(), attempt)
	if err == nil {
		err = s.begin(w, r, conn, resolved, attempt)
	}
	if err != nil {
		log.FromContext(r.Context()).Error(err, "starting an authorization", "namespace", conn.Namespace, "connection", conn.Name)
		showProblem(w, internal, at)
	}
}

// begin makes the flow of an attempt that was admitted and sends the browser to the provider. It
// is where all ways to start meet.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, conn *v1alpha1.OAuthConnection, resolved *provider.Resolved, attempt *v1alpha1.OAuthAuthorization) error {
	f := &flow{
		Namespace: conn.Namespace, Connection: conn.Name, ConnectionUID: conn.UID,
		Authorization: attempt.Name, AuthorizationUID: attempt.UID,
		Path: resolved.CallbackPath, Fingerprint: resolved.Fingerprint, Scopes: resolved.Scopes,
		Expires: s.Clock.Now().Add(flowLifetime),
	}
	f.secrets()
	attempt.Status.StateHash = hashOf(f.State)
	attempt.Status.ExpiresAt = &metav1.Time{Time: f.Expires}
	setCompleted(attempt, metav1.ConditionUnknown, v1alpha1.ReasonPending, "the person has left for the provider")
	if err := s.Client.Status().Update(r.Context(), attempt); err != nil {
		return err
	}
	if err := s.setFlow(w, f); err != nil {
		return err
	}
	s.Metrics.count("started")
	http.Redirect(w, r, resolved.AuthorizationURL(f.State, f.Verifier, f.Nonce), http.StatusSeeOther)
	return nil
}

// admit checks a ticket and whether the connection can be connected now. Without a ticket that
// opens nothing is said about whether the connection exists.
func (s *Server) admit(ctx context.Context, at place, ticket string) (*v1alpha1.OAuthConnection, *provider.Resolved, problem) {
	opened, err := s.Keyring.OpenTicket(ctx, ticket, s.Clock.Now())
	if err != nil || at == (place{}) || opened.Namespace != at.Namespace || opened.Name != at.Connection {
		return nil, nil, noTicket
	}
	conn, problem := s.connection(ctx, at)
	if problem == 0 && string(conn.UID) != opened.UID {
		return nil, nil, noTicket
	}
	if problem != 0 {
		return nil, nil, problem
	}
	resolved, err := s.Resolver.Connection(ctx, conn)
	if err != nil {
		return nil, nil, providerUnready
	}
	return conn, resolved, 0
}

// connection finds a connection that a person may connect now.
func (s *Server) connection(ctx context.Context, at place) (*v1alpha1.OAuthConnection, problem) {
	conn := &v1alpha1.OAuthConnection{}
	err := s.Connections.Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Connection}, conn)
	switch {
	case client.IgnoreNotFound(err) != nil:
		log.FromContext(ctx).Error(err, "reading a connection")
		return nil, internal
	case err != nil:
		return nil, noTicket
	case !conn.DeletionTimestamp.IsZero() || conn.Spec.Suspend || conn.Spec.Grant != v1alpha1.GrantAuthorizationCode:
		return nil, notNow
	}
	return conn, 0
}

// placeOf reads namespace and name from the path; names that Kubernetes does not know are none.
func placeOf(r *http.Request) place {
	at := place{Namespace: r.PathValue("namespace"), Connection: r.PathValue("name")}
	if len(validation.IsDNS1123Label(at.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(at.Connection)) > 0 {
		return place{}
	}
	return at
}

// attemptPrefix leaves room for what the API server appends.
func attemptPrefix(name string) string {
	const room = 253 - 6
	return name[:min(len(name), room)] + "-"
}

// origin of an address, for a Content-Security-Policy; empty where there is none.
func origin(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" {
		return ""
	}
	return parsed.Scheme + "://" + parsed.Host
}
