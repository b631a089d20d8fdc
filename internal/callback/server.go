// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/signin"
)

const (
	// maxTarget bounds path and query of a request, in bytes. Codes of 2 KiB are in use.
	maxTarget = 16 << 10
	// maxForm bounds the body of a POST, in bytes: it holds a ticket.
	maxForm = 8 << 10
)

// Server is the callback server. Every replica runs one.
type Server struct {
	*connect.Attempts
	// Authorizations reads OAuthAuthorizations, from the cache: visitors of whom nothing is known must
	// not cause work at the API server.
	Authorizations client.Reader
	// PublicURL is the address of the server as browsers see it: scheme, host and possibly a path.
	// With scheme https cookies are for https only.
	PublicURL string
	Limits    Limits
	// SignIn is nil where people do not sign in to pages.
	SignIn *SignIn

	waiting chan struct{} // has room for those who may wait for the cache
}

// visit is one request.
type visit struct {
	*http.Request
	w http.ResponseWriter
	// about is the connection that the page speaks of; empty where it is not known. Before the
	// ticket or the cookie is checked it is what the visitor typed, in the form of a name.
	about types.NamespacedName
	// who is signed in; empty where that is not known or does not matter.
	who string
}

// step answers a visit, or fails with a *connect.Refusal.
type step func(context.Context, *visit) (*answer, error)

// Handler serves all routes.
func (s *Server) Handler() http.Handler {
	pages := newPages()
	s.waiting = make(chan struct{}, maxWaiting)
	limiter := newLimiter(s.Limits, s.Clock)
	mux := http.NewServeMux()
	handle := func(pattern string, methods map[string]step) {
		mux.Handle(pattern, s.serve(pages, limiter, methods))
	}
	pageOf := func(show, follow step) map[string]step {
		return map[string]step{http.MethodGet: show, http.MethodHead: show, http.MethodPost: follow}
	}
	// A HEAD must not spend a code: link previews send it.
	callback := map[string]step{http.MethodGet: s.callback}
	handle("/connect/{namespace}/{name}", pageOf(s.start, s.follow))
	handle("/authorize/{namespace}/{attempt}", pageOf(s.meet, s.followPaired))
	handle(signin.CallbackPath, map[string]step{http.MethodGet: s.finishSignIn})
	handle("/callback/ns/{namespace}/{name}", callback)
	handle("/callback/provider/{namespace}/{provider}", callback)
	handle("/callback/cluster/{provider}", callback)
	handle("/", map[string]step{})
	return unclean(mux, s.basePath())
}

// serve is what all routes have in common.
func (s *Server) serve(pages *pages, limiter *limiter, methods map[string]step) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{Request: r, w: w, about: typed(r)}
		ctx := log.IntoContext(r.Context(), log.FromContext(r.Context()).WithName("callback"))
		run, known := methods[r.Method]
		var a *answer
		var err error
		switch {
		case !limiter.allow(r):
			w.Header().Set("Retry-After", strconv.Itoa(limiter.wait()))
			err = connect.Refuse(tooManyRequests)
		case len(r.URL.Path)+len(r.URL.RawQuery) > maxTarget:
			err = connect.Refuse(requestTooLarge)
		case len(methods) == 0:
			err = connect.Refuse(pageNotFound)
		case !known:
			w.Header().Set("Allow", allowed(methods))
			err = connect.Refuse(methodNotAllowed)
		case origin.Check(r) != nil:
			err = connect.Refuse(crossOrigin)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if r.Method == http.MethodPost && v.ParseForm() != nil {
				err = connect.Refuse(requestTooLarge)
				break
			}
			a, err = run(ctx, v)
		}
		if err != nil {
			a = s.refused(ctx, v, err)
		}
		pages.write(w, r, a)
	})
}

func (s *Server) refused(ctx context.Context, v *visit, err error) *answer {
	r, ok := errors.AsType[*connect.Refusal](err)
	if !ok {
		r = &connect.Refusal{Verdict: connect.Unavailable, Cause: err}
	}
	if r.Verdict == tooManyRequests {
		s.Metrics.Throttled()
	} else {
		s.Metrics.Rejected()
	}
	logger := log.FromContext(ctx).WithValues("page", r.Verdict, "connection", v.about)
	if r.Cause != nil {
		logger.Error(r.Cause, "a visitor was refused")
	} else {
		logger.V(1).Info("a visitor was refused")
	}
	a := s.noticeAnswer(r.Verdict, v.about)
	if r.Result != nil {
		a = s.resultAnswer(r.Result, v.about)
	}
	if v.who != "" {
		a.addFact("Signed in as", v.who)
	}
	return a
}

// typed is the connection that the path speaks of, where both names have the form of names.
func typed(r *http.Request) types.NamespacedName {
	key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	if len(validation.IsDNS1123Label(key.Namespace))+len(validation.IsDNS1123Subdomain(key.Name)) > 0 {
		return types.NamespacedName{}
	}
	return key
}

func allowed(methods map[string]step) string {
	if _, ok := methods[http.MethodPost]; ok {
		return "GET, HEAD, POST"
	}
	return http.MethodGet
}

// basePath is the path of PublicURL, which requests carry in front.
func (s *Server) basePath() string {
	public, err := url.Parse(s.PublicURL)
	if err != nil || public.Path == "/" {
		return ""
	}
	return public.Path
}

// unclean sends what is outside of the base path or not a clean path to "/", which knows no page:
// ServeMux would redirect it to an address that the visitor chose.
func unclean(mux *http.ServeMux, base string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := r.Clone(r.Context())
		inner.URL.Path, inner.URL.RawPath = "/", ""
		rest := strip(r.URL.Path, base)
		if r.URL.RawPath == "" && rest != "" && path.Clean(rest) == rest && r.Method != http.MethodConnect {
			inner.URL.Path = rest
		}
		mux.ServeHTTP(w, inner)
	})
}

// strip returns the path below base, empty where it is not below.
func strip(whole, base string) string {
	if len(whole) < len(base) || whole[:len(base)] != base {
		return ""
	}
	return whole[len(base):]
}
