// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// grant is what a person's consent has brought.
type grant struct {
	target  *Target
	attempt types.UID
	token   *oauth.Token
	// nonce is of the authorization request; empty where there was none.
	nonce string
	// callback is what else the provider has sent back by the browser.
	callback map[string]string
}

func (g *grant) key() tokenstore.Key {
	conn := g.target.Connection
	return tokenstore.Key{Namespace: conn.Namespace, Name: conn.Name, UID: conn.UID}
}

// accept saves a grant, unless it is another's: that of another request, or of another account than
// expected. An ID token that this client's provider did not make names nobody; without an expected
// account the tokens are kept all the same.
func (a *Attempts) accept(ctx context.Context, g *grant) *Result {
	logger := log.FromContext(ctx).WithValues("connection", g.key().Namespace+"/"+g.key().Name)
	client, expected := g.target.Client, g.target.Connection.Spec.ExpectedAccount
	doubted := client.CheckIDToken(g.token, g.nonce) != nil
	if doubted && (expected != "" || otherNonce(&client.Client, g)) {
		logger.Info("an ID token belongs to another request, provider or client: its grant is not kept")
		return &Result{Verdict: ForeignToken}
	}
	believed := *g.token
	if doubted {
		believed.IDToken = oauth.Secret{}
	}
	account, err := client.Account(ctx, &believed, g.callback)
	if err != nil {
		logger.Error(err, "asking for the account's name; it stays unknown")
	}
	switch {
	case expected != "" && account == "":
		return unknownAccount(err)
	case expected != "" && account != expected:
		// The token is dropped, not revoked: at some providers that would end every grant of this
		// account to this client, which another connection may live on.
		return &Result{Verdict: AccountNotExpected, Account: account, Expected: expected}
	}
	metadata, issues := client.Metadata(ctx, &believed, g.callback, nil)
	if misfit, ok := errors.AsType[*provider.AccountError](err); ok {
		issues = append(issues, misfit.Issue)
	}
	record := &tokenstore.Record{
		Fingerprint:     client.Fingerprint,
		Grant:           string(g.target.Connection.Spec.Grant),
		Token:           *g.token,
		Account:         account,
		RequestedScopes: client.Scopes,
		AuthorizedAt:    a.Clock.Now(),
		Authorization:   g.attempt,
		Metadata:        metadata,
		Issues:          slices.Concat(g.token.Issues, issues),
		Spec:            provider.Keep(g.target.Connection),
	}
	if doubted {
		record.IDTokenCause = otherClient
	}
	return a.save(ctx, g, record)
}

// unknownAccount names the expression that could not tell who consented, where there is one.
func unknownAccount(err error) *Result {
	r := &Result{Verdict: AccountUnknown}
	if misfit, ok := errors.AsType[*provider.AccountError](err); ok {
		r.Cause, r.Next = Misfit([]string{misfit.Issue}), "connect again"
	}
	return r
}

// otherClient is the cause where an ID token's issuer or audience differs and nothing more is known.
const otherClient = "it was made by another provider or for another client"

// otherNonce says whether an ID token that can be read was made for another authorization request
// (OpenID Connect Core section 3.1.2.1).
func otherNonce(client *oauth.Client, g *grant) bool {
	claims := g.token.Claims()
	if claims == nil || g.nonce == "" || !slices.Contains(client.Scopes, "openid") {
		return false
	}
	got, _ := claims["nonce"].(string)
	return subtle.ConstantTimeCompare([]byte(got), []byte(g.nonce)) != 1
}

// save hands the record to the store, which keeps it whatever happens to the API server.
func (a *Attempts) save(ctx context.Context, g *grant, record *tokenstore.Record) *Result {
	logger := log.FromContext(ctx).WithValues("connection", g.key().Namespace+"/"+g.key().Name)
	_, err := a.Store.Replace(ctx, g.key(), record)
	switch {
	case err == nil:
		a.verify(ctx, g, record.IDTokenCause)
		return &Result{Verdict: Connected, Account: record.Account}
	case errors.Is(err, tokenstore.ErrUnsaved):
		logger.Error(err, "an account was connected and its token is being saved")
		return &Result{Verdict: ConnectedUnsaved, Account: record.Account}
	case errors.Is(err, tokenstore.ErrConflict):
		return &Result{Verdict: Superseded}
	case errors.Is(err, tokenstore.ErrNotFound):
		return &Result{Verdict: ConnectionGone}
	}
	logger.Error(err, "saving a token")
	return &Result{Verdict: NotSaved}
}

// verify checks the ID token's signature and all else that takes the provider's keys, now that the grant
// is saved, and notes in the record what is wrong with it.
func (a *Attempts) verify(ctx context.Context, g *grant, noted string) {
	wrong, ok := errors.AsType[*provider.IDTokenError](g.target.Client.VerifyIDToken(ctx, g.token, g.nonce))
	switch {
	case !ok, wrong.Cause == noted:
		return
	case wrong.Unchecked:
		log.FromContext(ctx).Info("an ID token was not verified", "connection", g.key().Namespace+"/"+g.key().Name, "cause", wrong.Cause)
		return
	}
	for range claims {
		record, err := a.Store.Get(ctx, g.key())
		if err != nil || record.Authorization != g.attempt {
			return // another consent has taken its place
		}
		record.IDTokenCause = wrong.Cause
		if _, err = a.Store.Amend(ctx, g.key(), record); !errors.Is(err, tokenstore.ErrConflict) {
			return
		}
	}
}
