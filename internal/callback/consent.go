// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// consent is what the page of this name shows.
type consent struct {
	Namespace, Name, Provider, ClientID, Secret string
	// Requester is the user who asks; empty where nobody is known. SignedIn means that it is only the
	// visitor: nobody vouches for who sent them here.
	Requester string
	SignedIn  bool
	// Host is where the person is sent. The provider's name is what the connection's author says.
	Host   string
	Scopes []string
	// Expected is the only account that may consent; empty where any may.
	Expected string
	// Connected means that an account is connected now; Account is its name, where it is known.
	Connected bool
	Account   string
	// Pass and Seen go back with the person's yes.
	Pass pass
	Seen string
}

// pass is what let a visitor in: a ticket, or the proof that kubectl oauth gave. It counts in a form
// only, so that no link can start by itself.
type pass struct{ Name, Value string }

// showConsent asks the person, before anything is noted or sent anywhere.
func (s *Server) showConsent(t *connect.Target, requester string, p pass) *answer {
	conn, resolved := t.Connection, t.Client
	return &answer{
		status:     http.StatusOK,
		page:       "consent.html",
		formAction: formAction(resolved.Endpoints.Authorization),
		data: consent{
			Namespace: conn.Namespace,
			Name:      conn.Name,
			Requester: requester,
			SignedIn:  p == pass{},
			Provider:  resolved.DisplayName,
			Host:      host(resolved.Endpoints.Authorization),
			ClientID:  resolved.ID,
			Secret:    conn.TargetName(),
			Scopes:    resolved.Scopes,
			Expected:  conn.Spec.ExpectedAccount,
			Connected: meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.AuthorizedCondition),
			Account:   conn.Status.Account,
			Pass:      p,
			Seen:      seen(t),
		},
	}
}

// seen stands for what the person is shown and agrees to.
func seen(t *connect.Target) string {
	conn := t.Connection
	raw, err := json.Marshal([]any{conn.UID, conn.TargetName(), conn.Spec.ExpectedAccount,
		t.Client.Fingerprint, t.Client.Endpoints.Authorization, t.Client.Scopes, t.Client.AuthorizationParams})
	if err != nil { // strings always marshal
		return ""
	}
	return oauth.NewSecret(string(raw)).Hash()
}

// agreed refuses a yes to something else than the connection is by now.
func (v *visit) agreed(t *connect.Target) error {
	if !same(seen(t), v.PostForm.Get("seen")) {
		return connect.Refuse(connect.ClientChanged)
	}
	return nil
}

// sendToProvider starts the authorization request of an attempt: state, verifier and nonce go into
// a cookie of this browser, only the state's hash is noted.
func (s *Server) sendToProvider(ctx context.Context, v *visit, t *connect.Target, attempt *v1alpha1.OAuthAuthorization) (*answer, error) {
	f, address, err := s.Start(ctx, t, attempt)
	if err != nil {
		return nil, err
	}
	if err := s.Note(ctx, attempt, f); err != nil {
		return nil, err
	}
	if err := s.setFlow(ctx, v, f); err != nil {
		return nil, err
	}
	s.Metrics.Started()
	return &answer{redirect: address}, nil
}

// hosted is a connection whose provider sends the browser back to this server.
func hosted(t *connect.Target) error {
	if t.Loopback() {
		return connect.Refuse(connect.PluginNeeded)
	}
	return nil
}

// host is empty where the endpoint is no address: then nobody is sent there either.
func host(authorization string) string {
	u, err := url.Parse(authorization)
	if err != nil {
		return ""
	}
	return u.Host
}

// formAction is where the consent form may lead. Chromium holds every redirect after a submission
// to it, and providers send people on to other hosts (a company's own sign-in) before they ask for
// anything: naming the provider's host alone would end in a button that does nothing. So the scheme
// is as narrow as it gets.
func formAction(authorization string) string {
	if u, err := url.Parse(authorization); err == nil && u.Scheme == "http" {
		return "'self' http:"
	}
	return "'self' https:"
}
