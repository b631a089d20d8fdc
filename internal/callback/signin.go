// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/signin"
)

const (
	signInCookie  = "oauth-signin-" // one for each sign-in under way
	sessionCookie = "oauth-session"
)

// SignIn lets people in who may create OAuthAuthorizations in a connection's namespace.
type SignIn struct {
	Provider *signin.Provider
	Reviewer *signin.Reviewer
}

// start is the address that status.authorizationURL names: by ticket where there is one, else by
// signing in.
func (s *Server) start(ctx context.Context, v *visit) (*answer, error) {
	if s.SignIn == nil || v.URL.Query().Has("ticket") {
		return s.link(ctx, v)
	}
	return s.asSignedIn(ctx, v, func(target *connect.Target, username string) (*answer, error) {
		return s.showConsent(target, username, pass{}), nil
	})
}

// follow is the person's yes to what start has shown.
func (s *Server) follow(ctx context.Context, v *visit) (*answer, error) {
	if s.SignIn == nil || v.PostForm.Has("ticket") {
		return s.followLink(ctx, v)
	}
	return s.asSignedIn(ctx, v, func(target *connect.Target, username string) (*answer, error) {
		if err := v.agreed(target); err != nil {
			return nil, err
		}
		attempt, err := s.Create(ctx, target.Connection, v1alpha1.PairingSignIn, username)
		if err != nil {
			return nil, err
		}
		return s.sendToProvider(ctx, v, target, attempt)
	})
}

// asSignedIn goes on with somebody who may connect, and has everybody else sign in.
func (s *Server) asSignedIn(ctx context.Context, v *visit, goOn func(*connect.Target, string) (*answer, error)) (*answer, error) {
	id, err := s.signedIn(ctx, v)
	if err != nil {
		return s.beginSignIn(ctx, v, err)
	}
	target, err := s.permitted(ctx, v, id)
	if err != nil {
		return nil, err
	}
	return goOn(target, id.Username)
}

// signedIn is who the session's cookie says. It fails with a *signin.Error.
func (s *Server) signedIn(ctx context.Context, v *visit) (signin.Identity, error) {
	return s.SignIn.Provider.OpenSession(ctx, s.cookie(v, sessionCookie))
}

// permitted asks the cluster before anything about the connection is told: nobody learns which exist
// elsewhere.
func (s *Server) permitted(ctx context.Context, v *visit, id signin.Identity) (*connect.Target, error) {
	allowed, err := s.SignIn.Reviewer.MayConnect(ctx, id, v.about.Namespace)
	if err != nil {
		return nil, signInRefusal(err)
	}
	if !allowed {
		v.who = id.Username
		return nil, connect.Refuse(mayNotConnect)
	}
	target, err := s.Target(ctx, v.about, "")
	if err != nil {
		return nil, err
	}
	return target, hosted(target)
}

// beginSignIn sends whoever has no session to the provider of the platform team.
func (s *Server) beginSignIn(ctx context.Context, v *visit, cause error) (*answer, error) {
	if e, ok := errors.AsType[*signin.Error](cause); !ok || e.Kind != signin.SignedOut {
		return nil, signInRefusal(cause)
	}
	if v.about.Name == "" {
		return nil, connect.Refuse(pageNotFound)
	}
	begun, err := s.SignIn.Provider.Begin(ctx, "/connect/"+v.about.Namespace+"/"+v.about.Name)
	if err != nil {
		return nil, signInRefusal(err)
	}
	s.clearCookies(v, signInCookie, maxFlows)
	s.setCookie(v, s.cookieName(signInCookie+begun.ID), begun.Cookie, signin.Lifetime)
	return &answer{redirect: begun.Address}, nil
}

// finishSignIn ends a sign-in and goes back to where it began.
func (s *Server) finishSignIn(ctx context.Context, v *visit) (*answer, error) {
	if s.SignIn == nil {
		return nil, connect.Refuse(pageNotFound)
	}
	query := v.URL.Query()
	name := signInCookie + signin.ID(query)
	id, returnTo, err := s.SignIn.Provider.Finish(ctx, s.cookie(v, name), query)
	if e, ok := errors.AsType[*signin.Error](err); !ok || e.Kind != signin.BadResponse && e.Kind != signin.ProviderDown && e.Kind != signin.Unavailable {
		s.clearCookie(v, s.cookieName(name))
	}
	if err != nil {
		return nil, signInRefusal(err)
	}
	session, err := s.SignIn.Provider.SealSession(id)
	if err != nil {
		return nil, signInRefusal(err)
	}
	s.setCookie(v, s.cookieName(sessionCookie), session, signin.SessionLifetime)
	return &answer{redirect: strings.TrimSuffix(s.PublicURL, "/") + returnTo}, nil
}

// signInRefusal is the page for an error of a sign-in.
func signInRefusal(err error) error {
	e, ok := errors.AsType[*signin.Error](err)
	if !ok {
		return connect.RefuseFor(connect.Unavailable, err)
	}
	page := map[signin.Kind]notice{
		signin.Misconfigured: signInBroken,
		signin.ProviderDown:  signInDown,
		signin.BadResponse:   connect.BadResponse,
		signin.WrongBrowser:  unknownFlow,
		signin.Expired:       connect.FlowExpired,
		signin.Denied:        signInDenied,
		signin.Refused:       signInRefused,
		signin.TooManyGroups: signInTooManyGroups,
	}[e.Kind]
	if page == "" {
		page = connect.Unavailable
	}
	return connect.RefuseFor(page, err)
}

// signInWords speak of people who are not let in.
func signInWords(n notice) words {
	switch n {
	case signInBroken:
		return words{http.StatusInternalServerError, "bad", "Signing in is not set up right", []string{
			"The platform team has to look at the operator's --signin flags; its log says what is wrong."}, ""}
	case signInDown:
		return words{http.StatusBadGateway, "bad", "Signing in does not work at the moment", []string{
			"The provider where people sign in does not answer. Wait a moment, then reload this page."}, ""}
	case signInDenied:
		return words{http.StatusForbidden, "plain", "You were not signed in", []string{
			"You, or a rule of the provider, said no. Nothing was started."}, startAgain}
	case signInRefused:
		return words{http.StatusForbidden, "bad", "The cluster does not know you by that name", []string{
			"The provider names no user, an address that is not verified, or a name that is reserved. The platform team can tell which claim counts."}, ""}
	case signInTooManyGroups:
		return words{http.StatusForbidden, "bad", "You are in too many groups", []string{
			"They do not fit into a session. The platform team can have the provider send fewer."}, ""}
	}
	return words{http.StatusForbidden, "bad", "You may not connect accounts in this namespace", []string{
		"To sign in as somebody else, open a private window.",
		"Connecting takes the right to create oauthauthorizations in the namespace, which the ClusterRole edit contains."}, askForRole}
}
