// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// consent is what the page of this name shows.
type consent struct {
	Namespace, Name, Provider, ClientID, Secret string
	// Host is where the person is sent. The provider's name is what the connection's author says.
	Host   string
	Scopes []string
	// Connected means that an account is connected now; Account is its name, where it is known.
	Connected bool
	Account   string
	// Ticket goes back with the person's yes.
	Ticket string
}

// showConsent asks the person, before anything is noted or sent anywhere.
func (s *Server) showConsent(conn *v1alpha1.OAuthConnection, resolved *provider.Resolved, ticket string) *answer {
	return &answer{
		status:     http.StatusOK,
		page:       "consent.html",
		formAction: formAction(resolved.Endpoints.Authorization),
		data: consent{
			Namespace: conn.Namespace,
			Name:      conn.Name,
			Provider:  resolved.DisplayName,
			Host:      host(resolved.Endpoints.Authorization),
			ClientID:  resolved.ID,
			Secret:    conn.TargetName(),
			Scopes:    resolved.Scopes,
			Connected: meta.IsStatusConditionTrue(conn.Status.Conditions, v1alpha1.AuthorizedCondition),
			Account:   conn.Status.Account,
			Ticket:    ticket,
		},
	}
}

// sendToProvider starts the authorization request of an attempt: state, verifier and nonce go into
// a cookie of this browser, only the state's hash is noted.
func (s *Server) sendToProvider(ctx context.Context, v *visit, conn *v1alpha1.OAuthConnection, resolved *provider.Resolved, attempt *v1alpha1.OAuthAuthorization) (*answer, error) {
	f := flow{
		Namespace:     conn.Namespace,
		Attempt:       attempt.Name,
		AttemptUID:    string(attempt.UID),
		Connection:    conn.Name,
		ConnectionUID: string(conn.UID),
		State:         random(),
		Verifier:      random(),
		Nonce:         random(),
		Path:          resolved.CallbackPath,
		Fingerprint:   resolved.Fingerprint,
		Expires:       s.Clock.Now().Add(flowLifetime),
	}
	address := resolved.AuthorizationURL(f.State, f.Verifier, f.Nonce)
	if address == "" || f.Path == "" {
		return nil, refuse(notReady)
	}
	if err := s.noteState(ctx, attempt, oauth.NewSecret(f.State).Hash(), f.Expires); err != nil {
		return nil, err
	}
	if err := s.setFlow(ctx, v, f); err != nil {
		return nil, err
	}
	s.Metrics.count(outcomeStarted)
	return &answer{redirect: address}, nil
}

// randomBytes is the length of state, verifier and nonce before encoding.
const randomBytes = 32

// random is 256 bits in 43 characters, which PKCE asks of a verifier (RFC 7636 section 4.1).
func random() string {
	b := make([]byte, randomBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
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
