// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// result is how a claimed attempt ended.
type result struct {
	notice    notice
	outcome   outcome
	completed metav1.ConditionStatus
	reason    string
	message   string // of the condition and the event
	account   string
}

func (r *result) answer(about types.NamespacedName) *answer {
	a := noticeAnswer(r.notice, about)
	if r.account != "" {
		a.addFact("Account", r.account)
	}
	return a
}

func failed(n notice, o outcome, reason string) *result {
	return &result{notice: n, outcome: o, completed: metav1.ConditionFalse, reason: reason, message: wordsOf(n).Title}
}

// finish does what the provider's answer asks for. It cannot be repeated.
func (s *Server) finish(ctx context.Context, a *arrival) *result {
	if a.error != "" {
		return failed(providerSaid(a.error), outcomeDenied, v1alpha1.ReasonDenied)
	}
	token, err := a.client.Exchange(ctx, a.code, oauth.NewSecret(a.flow.Verifier))
	if err != nil {
		log.FromContext(ctx).Error(err, "exchanging a code", "connection", a.flow.connection())
		return failed(exchangeNotice(err), outcomeExchangeFailed, v1alpha1.ReasonExchangeFailed)
	}
	if err := a.client.CheckIDToken(token, a.flow.Nonce); err != nil {
		log.FromContext(ctx).Error(err, "checking an ID token", "connection", a.flow.connection())
		return failed(foreignToken, outcomeExchangeFailed, v1alpha1.ReasonExchangeFailed)
	}
	return s.save(ctx, a, token)
}

// save hands the token to the store, which keeps it whatever happens to the API server.
func (s *Server) save(ctx context.Context, a *arrival, token *oauth.Token) *result {
	logger := log.FromContext(ctx).WithValues("connection", a.flow.connection())
	account, err := a.client.Account(ctx, token)
	if err != nil {
		logger.Error(err, "asking for the account's name; it stays unknown")
	}
	key := tokenstore.Key{Namespace: a.conn.Namespace, Name: a.conn.Name, UID: a.conn.UID}
	_, err = s.Store.Replace(ctx, key, &tokenstore.Record{
		Fingerprint:     a.client.Fingerprint,
		Grant:           string(a.conn.Spec.Grant),
		Token:           *token,
		Account:         account,
		RequestedScopes: a.client.Scopes,
		AuthorizedAt:    s.Clock.Now(),
		Authorization:   types.UID(a.flow.AttemptUID),
	})
	done := &result{
		notice: connected, outcome: outcomeConnected, completed: metav1.ConditionTrue,
		reason: v1alpha1.ReasonConnected, message: "an account was connected", account: account,
	}
	switch {
	case err == nil:
		return done
	case errors.Is(err, tokenstore.ErrUnsaved):
		logger.Error(err, "an account was connected and its token is being saved")
		done.notice = connectedUnsaved
		return done
	case errors.Is(err, tokenstore.ErrConflict):
		return failed(superseded, outcomeExchangeFailed, v1alpha1.ReasonExchangeFailed)
	case errors.Is(err, tokenstore.ErrNotFound):
		return failed(connectionGone, outcomeExchangeFailed, v1alpha1.ReasonExchangeFailed)
	}
	logger.Error(err, "saving a token")
	return failed(notSaved, outcomeExchangeFailed, v1alpha1.ReasonExchangeFailed)
}
