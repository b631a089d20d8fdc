// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// maxParameter bounds what is read of a query: codes and states of real providers are below 4 KiB.
const maxParameter = 8 << 10

// callback finishes a flow. Everything is checked before the state is claimed, so that a wrong
// request consumes nothing; the code is exchanged after, so that it is exchanged once.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	// The person may close the window: what was claimed is finished all the same.
	ctx := context.WithoutCancel(r.Context())
	query := r.URL.Query()
	f, problem := s.flowOf(ctx, r, query.Get("state"))
	if problem != 0 {
		s.reject(w, problem, place{})
		return
	}
	at := place{Namespace: f.Namespace, Connection: f.Connection}
	conn, resolved, problem := s.verify(ctx, f, r.URL.Path, query)
	if problem != 0 {
		s.reject(w, problem, at)
		return
	}
	attempt, problem := s.claim(ctx, f)
	if problem != 0 {
		s.reject(w, problem, at)
		return
	}
	s.clearFlow(w, f)
	if query.Get("error") != "" {
		s.declined(ctx, w, conn, attempt, query.Get("error"))
		return
	}
	s.connect(ctx, w, conn, resolved, attempt, f, oauth.NewSecret(query.Get("code")))
}

// verify compares what came back with what was sent.
func (s *Server) verify(ctx context.Context, f *flow, path string, query url.Values) (*v1alpha1.OAuthConnection, *provider.Resolved, problem) {
	state := query.Get("state")
	switch {
	case len(state) > maxParameter || len(query.Get("code")) > maxParameter:
		return nil, nil, tooLarge
	case subtle.ConstantTimeCompare([]byte(state), []byte(f.State)) != 1:
		return nil, nil, flowForged
	case path != f.Path:
		return nil, nil, wrongPath
	case !s.Clock.Now().Before(f.Expires):
		return nil, nil, flowExpired
	case query.Get("error") == "" && query.Get("code") == "":
		return nil, nil, providerError
	}
	conn, problem := s.connection(ctx, place{Namespace: f.Namespace, Connection: f.Connection})
	if problem != 0 {
		return nil, nil, notNow
	}
	resolved, err := s.Resolver.Connection(ctx, conn)
	switch {
	case conn.UID != f.ConnectionUID:
		return nil, nil, changed
	case err != nil:
		return nil, nil, providerUnready
	case resolved.Fingerprint != f.Fingerprint:
		return nil, nil, changed
	case !issuerMatches(&resolved.Client, query):
		return nil, nil, wrongIssuer
	}
	return conn, resolved, 0
}

// issuerMatches is RFC 9207 section 2.4. A provider that is described without an issuer is told
// apart by its own redirect URI.
func issuerMatches(c *oauth.Client, query url.Values) bool {
	if !query.Has("iss") {
		return !c.IssInResponse
	}
	return c.Issuer == "" || query.Get("iss") == c.Issuer
}

// claim uses the state, once: of all who try, one wins the compare-and-swap.
func (s *Server) claim(ctx context.Context, f *flow) (*v1alpha1.OAuthAuthorization, problem) {
	attempt := &v1alpha1.OAuthAuthorization{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: f.Namespace, Name: f.Authorization}, attempt)
	now := s.Clock.Now()
	switch {
	case apierrors.IsNotFound(err):
		return nil, flowExpired
	case err != nil:
		log.FromContext(ctx).Error(err, "reading an authorization", "namespace", f.Namespace, "authorization", f.Authorization)
		return nil, internal
	case attempt.UID != f.AuthorizationUID || attempt.Status.StateHash != hashOf(f.State):
		return nil, flowForged
	case attempt.Status.ClaimedAt != nil:
		return nil, flowUsed
	case attempt.Status.ExpiresAt == nil || !now.Before(attempt.Status.ExpiresAt.Time):
		return nil, flowExpired
	}
	attempt.Status.ClaimedAt = &metav1.Time{Time: now}
	err = s.Client.Status().Update(ctx, attempt)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil, flowUsed
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "claiming an authorization", "namespace", f.Namespace, "authorization", f.Authorization)
		return nil, internal
	}
	return attempt, 0
}

// connect exchanges the code and saves what it brings.
func (s *Server) connect(ctx context.Context, w http.ResponseWriter, conn *v1alpha1.OAuthConnection, resolved *provider.Resolved, attempt *v1alpha1.OAuthAuthorization, f *flow, code oauth.Secret) {
	at := place{Namespace: conn.Namespace, Connection: conn.Name}
	token, err := resolved.Exchange(ctx, code, oauth.NewSecret(f.Verifier))
	if err == nil {
		// Another request's ID token means that the code was injected: what it brings is not kept.
		err = resolved.CheckIDToken(token, f.Nonce)
	}
	if err != nil {
		log.FromContext(ctx).Info("the code could not be exchanged", "namespace", conn.Namespace, "connection", conn.Name, "cause", err.Error())
		s.finish(ctx, conn, attempt, v1alpha1.ReasonExchangeFailed, "the provider did not exchange the code for a token")
		s.Metrics.count("exchange_failed")
		showProblem(w, exchangeFailed, at)
		return
	}
	account, err := s.save(ctx, conn, resolved, attempt, f, token)
	unsaved := errors.Is(err, tokenstore.ErrUnsaved)
	if err != nil && !unsaved {
		log.FromContext(ctx).Error(err, "saving a new consent", "namespace", conn.Namespace, "connection", conn.Name)
		s.finish(ctx, conn, attempt, v1alpha1.ReasonExchangeFailed, "the token could not be saved")
		s.Metrics.count("exchange_failed")
		showProblem(w, internal, at)
		return
	}
	s.finish(ctx, conn, attempt, v1alpha1.ReasonConnected, "the account is connected")
	s.Metrics.count("connected")
	showConnected(w, connectedPage{
		Namespace: conn.Namespace, Connection: conn.Name, Secret: conn.TargetName(), Account: account, Unsaved: unsaved,
	})
}

// save stores the token first and asks who consented after: the answer to the second question is
// not worth losing the first.
func (s *Server) save(ctx context.Context, conn *v1alpha1.OAuthConnection, resolved *provider.Resolved, attempt *v1alpha1.OAuthAuthorization, f *flow, token *oauth.Token) (account string, err error) {
	key := tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
	record := &tokenstore.Record{
		Fingerprint: f.Fingerprint, Grant: string(conn.Spec.Grant), Token: *token,
		RequestedScopes: f.Scopes, AuthorizedAt: s.Clock.Now(), Authorization: attempt.UID,
	}
	if _, err = s.Store.Replace(ctx, key, record); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, accountTimeout)
	defer cancel()
	if account, err = resolved.Account(ctx, token); err != nil || account == "" {
		log.FromContext(ctx).Info("the provider does not say whose account it is", "namespace", conn.Namespace, "connection", conn.Name)
		return "", nil
	}
	record.Account = account
	_, err = s.Store.Replace(ctx, key, record)
	return account, err
}

// accountTimeout bounds the question whose account it is.
const accountTimeout = 10 * time.Second

// declined ends an attempt for which the provider sent an error instead of a code.
func (s *Server) declined(ctx context.Context, w http.ResponseWriter, conn *v1alpha1.OAuthConnection, attempt *v1alpha1.OAuthAuthorization, code string) {
	show, reason, message := providerError, v1alpha1.ReasonExchangeFailed, "the provider refused the authorization request"
	if code == "access_denied" {
		show, reason, message = denied, v1alpha1.ReasonDenied, "the person or the provider said no"
	}
	s.finish(ctx, conn, attempt, reason, message)
	s.Metrics.count("denied")
	showProblem(w, show, place{Namespace: conn.Namespace, Connection: conn.Name})
}

// finish tells people how the attempt ended. That it cannot be told changes nothing.
func (s *Server) finish(ctx context.Context, conn *v1alpha1.OAuthConnection, attempt *v1alpha1.OAuthAuthorization, reason, message string) {
	status, kind, name := metav1.ConditionFalse, corev1.EventTypeWarning, "AuthorizationFailed"
	if reason == v1alpha1.ReasonConnected {
		status, kind, name = metav1.ConditionTrue, corev1.EventTypeNormal, "AccountConnected"
	}
	s.Events.Eventf(conn, nil, kind, name, "Connect", "%s", message)
	setCompleted(attempt, status, reason, message)
	if err := s.Client.Status().Update(ctx, attempt); err != nil {
		log.FromContext(ctx).Info("the end of an authorization is not in its status", "namespace", attempt.Namespace, "authorization", attempt.Name, "cause", err.Error())
	}
}

func (s *Server) reject(w http.ResponseWriter, p problem, at place) {
	s.Metrics.count("rejected")
	showProblem(w, p, at)
}

func setCompleted(attempt *v1alpha1.OAuthAuthorization, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&attempt.Status.Conditions, metav1.Condition{
		Type: v1alpha1.CompletedCondition, Status: status, Reason: reason, Message: message,
	})
}
