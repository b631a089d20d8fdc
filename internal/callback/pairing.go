// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

const (
	browserCookie = "oauth-browser-"
	// The cache learns of an attempt a moment after the browser does.
	cacheLag  = 500 * time.Millisecond
	cachePoll = 25 * time.Millisecond
	// maxBrowsers bounds the attempts that one browser takes part in. A cookie has 160 bytes, and proxies take
	// 8 KiB of cookies.
	maxBrowsers = 12
	// maxWaiting bounds the visitors who wait for the cache at the same time, which whoever makes names up
	// does: 15,000 in a minute.
	maxWaiting = 128
)

// meet is where the browser of kubectl oauth's user starts. The address holds no secret: everybody may
// open it, and only the browser that the requester's kubectl oauth has met gets any further.
//
//	no cookie yet      it gets one; Loopback: is sent to the machine's own loopback address with the
//	                   cookie's hash, which kubectl oauth notes on the attempt; Code: is shown a code,
//	                   which the requester types into kubectl oauth
//	cookie and proof   the consent page
func (s *Server) meet(ctx context.Context, v *visit) (*answer, error) {
	proof := v.URL.Query().Get("proof")
	attempt, err := s.openAttempt(ctx, v, proof != "")
	if err != nil {
		return nil, err
	}
	cookie, code := s.browser(ctx, v, attempt)
	if proof == "" && stranger(attempt, cookie, code) {
		return s.pair(v, attempt, cookie, code)
	}
	if !paired(attempt, cookie, code, proof) {
		return nil, connect.Refuse(otherBrowser)
	}
	target, err := s.pairedTarget(ctx, attempt)
	if err != nil {
		return nil, err
	}
	return s.showConsent(target, attempt.Spec.Requester, pass{"proof", proof}), nil
}

// followPaired is the person's yes to what meet has shown.
func (s *Server) followPaired(ctx context.Context, v *visit) (*answer, error) {
	cached, err := s.openAttempt(ctx, v, true)
	if err != nil {
		return nil, err
	}
	cookie, code := s.browser(ctx, v, cached)
	if !paired(cached, cookie, code, v.PostForm.Get("proof")) {
		return nil, connect.Refuse(otherBrowser)
	}
	target, err := s.pairedTarget(ctx, cached)
	if err != nil {
		return nil, err
	}
	if err := v.agreed(target); err != nil {
		return nil, err
	}
	attempt := &v1alpha1.OAuthAuthorization{}
	err = s.Client.Get(ctx, types.NamespacedName{Namespace: cached.Namespace, Name: cached.Name}, attempt)
	switch {
	case apierrors.IsNotFound(err), err == nil && attempt.UID != cached.UID:
		return nil, connect.Refuse(noAttempt)
	case err != nil:
		return nil, connect.RefuseFor(connect.Unavailable, err)
	case attempt.Status.ClaimedAt != nil, connect.Completed(attempt):
		return nil, connect.Refuse(connect.AlreadyUsed)
	}
	return s.sendToProvider(ctx, v, target, attempt)
}

// openAttempt reads an attempt that a browser can still take part in. Where the browser must be known,
// it waits a moment for the cache to hear of it.
func (s *Server) openAttempt(ctx context.Context, v *visit, known bool) (*v1alpha1.OAuthAuthorization, error) {
	attempt := &v1alpha1.OAuthAuthorization{}
	key := types.NamespacedName{Namespace: v.PathValue("namespace"), Name: v.PathValue("attempt")}
	var failed error
	look := func(ctx context.Context) (bool, error) {
		failed = s.Authorizations.Get(ctx, key, attempt)
		if apierrors.IsNotFound(failed) {
			return false, nil
		}
		return attempt.Status.ExpiresAt != nil && (attempt.Spec.Browser != nil || !known), failed
	}
	there, err := look(ctx)
	if err == nil && !there {
		cookie, _ := s.browser(ctx, v, attempt)
		err = s.awaitCache(ctx, look, cookie != "")
	}
	if err != nil {
		return nil, connect.RefuseFor(connect.Unavailable, err)
	}
	status := attempt.Status
	if failed != nil || status.ExpiresAt == nil || !s.Modes.Allows(attempt.Spec.Method) ||
		attempt.Spec.Method != v1alpha1.PairingLoopback && attempt.Spec.Method != v1alpha1.PairingCode {
		return nil, connect.Refuse(noAttempt)
	}
	v.about = types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}
	switch {
	case status.ClaimedAt != nil, connect.Completed(attempt):
		return nil, connect.Refuse(connect.AlreadyUsed)
	case attempt.DeletionTimestamp != nil, !s.Clock.Now().Before(status.ExpiresAt.Time):
		return nil, connect.Refuse(connect.FlowExpired)
	}
	return attempt, nil
}

// awaitCache looks again for a moment. Where too many wait already it does not, except for a browser
// that was met before: strangers must not keep it from going on.
func (s *Server) awaitCache(ctx context.Context, look wait.ConditionWithContextFunc, met bool) error {
	if !met {
		select {
		case s.waiting <- struct{}{}:
			defer func() { <-s.waiting }()
		default:
			return nil
		}
	}
	err := wait.PollUntilContextTimeout(ctx, cachePoll, cacheLag, false, look)
	if wait.Interrupted(err) {
		return nil
	}
	return err
}

func (s *Server) pairedTarget(ctx context.Context, attempt *v1alpha1.OAuthAuthorization) (*connect.Target, error) {
	target, err := s.Target(ctx, types.NamespacedName{Namespace: attempt.Namespace, Name: attempt.Spec.Connection}, "")
	if err != nil {
		return nil, err
	}
	return target, hosted(target)
}

// stranger says whether the browser has to meet the requester's kubectl oauth, as with Loopback it also
// has when the start address is opened again. With Code it is shown its code as long as another one, or
// none, was typed.
func stranger(attempt *v1alpha1.OAuthAuthorization, cookie, code string) bool {
	browser := attempt.Spec.Browser
	switch {
	case browser == nil:
		return true
	case attempt.Spec.Method == v1alpha1.PairingCode:
		return !same(browser.Code, code)
	}
	return cookie != "" && same(browser.Hash, oauth.NewSecret(cookie).Hash())
}

// paired says whether this is the browser that the requester's kubectl oauth has met. The cookie alone
// is not enough with Loopback: somebody else could have sent the requester's browser to the loopback
// address with the hash of a cookie of their own. What kubectl oauth answered then is in the
// requester's browser, and the cookie is not.
func paired(attempt *v1alpha1.OAuthAuthorization, cookie, code, proof string) bool {
	browser := attempt.Spec.Browser
	switch {
	case browser == nil || cookie == "":
		return false
	case attempt.Spec.Method == v1alpha1.PairingCode:
		return same(browser.Code, code)
	}
	return same(browser.Hash, oauth.NewSecret(cookie).Hash()) && same(browser.ProofHash, oauth.NewSecret(proof).Hash())
}

func same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// statePattern is what kubectl oauth makes: nothing else is handed on to its loopback address.
var statePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// pair gives the browser its cookie and sends it to meet the requester's kubectl oauth.
func (s *Server) pair(v *visit, attempt *v1alpha1.OAuthAuthorization, cookie, code string) (*answer, error) {
	state := v.URL.Query().Get("state")
	if attempt.Spec.Method == v1alpha1.PairingLoopback && !statePattern.MatchString(state) {
		return nil, connect.Refuse(noAttempt)
	}
	if cookie == "" {
		var err error
		if cookie, code, err = s.newBrowser(v, attempt); err != nil {
			return nil, connect.RefuseFor(connect.Unavailable, err)
		}
	}
	if attempt.Spec.Method == v1alpha1.PairingCode {
		return &answer{status: http.StatusOK, page: "code.html", formAction: "'self'", data: codePage{
			Code: code, Namespace: attempt.Namespace, Name: attempt.Spec.Connection, Wrong: attempt.Spec.Browser != nil,
		}}, nil
	}
	listener := attempt.Spec.Loopback
	query := url.Values{"browser": {oauth.NewSecret(cookie).Hash()}, "state": {state}}
	return &answer{redirect: "http://" + net.JoinHostPort(listener.Address, strconv.Itoa(int(listener.Port))) + "/pair?" + query.Encode()}, nil
}

// codePage is what code.html shows.
type codePage struct {
	Code, Namespace, Name string
	// Wrong means that another code was typed than this browser shows.
	Wrong bool
}

// newBrowser gives the browser a cookie for this attempt: its own code, sealed, so that nobody can make
// one for a code that they have seen.
func (s *Server) newBrowser(v *visit, attempt *v1alpha1.OAuthAuthorization) (cookie, code string, err error) {
	code = newCode()
	if cookie, err = s.Keyring.SealText(seal.PurposeBrowser, string(attempt.UID), []byte(code)); err != nil {
		return "", "", err
	}
	s.clearCookies(v, browserCookie, maxBrowsers)
	s.setCookie(v, s.cookieName(browserCookie+string(attempt.UID)), cookie, connect.Lifetime)
	return cookie, code, nil
}

// browser is the cookie of this attempt and the code in it; empty where the browser has none of ours.
func (s *Server) browser(ctx context.Context, v *visit, attempt *v1alpha1.OAuthAuthorization) (cookie, code string) {
	cookie = s.cookie(v, browserCookie+string(attempt.UID))
	plain, err := s.Keyring.UnsealText(ctx, seal.PurposeBrowser, string(attempt.UID), cookie)
	if err != nil {
		return "", ""
	}
	return cookie, string(plain)
}

// codeLetters cannot be mistaken for each other and spell no words (RFC 8628 section 6.1).
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// newCode is one of 25 billion. It can be tried at a browser of one's own only, page by page.
func newCode() string {
	code := make([]byte, 0, 9)
	for len(code) < 9 {
		if len(code) == 4 {
			code = append(code, '-')
		}
		var b [1]byte
		_, _ = rand.Read(b[:]) // never fails
		if int(b[0]) < 256/len(codeLetters)*len(codeLetters) {
			code = append(code, codeLetters[int(b[0])%len(codeLetters)])
		}
	}
	return string(code)
}
