// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// maxFlows bounds the flows that one browser has under way. A cookie of a flow has about 1 KiB, a
	// session up to 4 KiB, and proxies take 8 KiB of cookies.
	maxFlows   = 3
	flowCookie = "oauth-flow-"
)

// flowID is the part of a cookie's name that finds the flow of a state.
func flowID(state string) string { return oauth.NewSecret(state).Hash()[:16] }

func (s *Server) https() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// cookieName binds a cookie to this very host where browsers allow it: over https.
func (s *Server) cookieName(name string) string {
	if s.https() {
		return "__Host-" + name
	}
	return name
}

// setFlow seals a flow into a cookie, so that only the browser that started can come back. Each flow
// has its own: two tabs do not disturb each other. Flows that are over or too many are cleared.
func (s *Server) setFlow(ctx context.Context, v *visit, f *connect.Flow) error {
	s.makeRoom(ctx, v)
	id := flowID(f.State)
	sealed, err := s.SealFlow(f, id)
	if err != nil {
		return connect.RefuseFor(connect.Unavailable, err)
	}
	s.setCookie(v, s.cookieName(flowCookie+id), sealed, connect.Lifetime)
	return nil
}

// flow opens the cookie of a state. Any cookie that was not sealed for it is as good as none.
func (s *Server) flow(ctx context.Context, v *visit, id string) (*connect.Flow, bool) {
	return s.OpenFlow(ctx, s.cookie(v, flowCookie+id), id)
}

// cookie is the value of a cookie of ours, empty where the browser has none.
func (s *Server) cookie(v *visit, name string) string {
	cookie, err := v.Cookie(s.cookieName(name))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// makeRoom clears cookies of flows that cannot end well any more, and the oldest of too many.
func (s *Server) makeRoom(ctx context.Context, v *visit) {
	type old struct {
		name    string
		expires time.Time
	}
	var open []old
	for _, cookie := range v.Cookies() {
		id, ours := strings.CutPrefix(cookie.Name, s.cookieName(flowCookie))
		if !ours {
			continue
		}
		if f, ok := s.flow(ctx, v, id); ok && s.Clock.Now().Before(f.Expires) {
			open = append(open, old{cookie.Name, f.Expires})
			continue
		}
		s.clearCookie(v, cookie.Name)
	}
	slices.SortFunc(open, func(a, b old) int { return cmp.Compare(b.expires.UnixNano(), a.expires.UnixNano()) })
	for _, o := range open[min(len(open), maxFlows-1):] {
		s.clearCookie(v, o.name)
	}
}

// clearCookies clears the cookies whose names begin so, one for each page that was left open, where
// they are as many as there may be.
func (s *Server) clearCookies(v *visit, prefix string, most int) {
	var names []string
	for _, cookie := range v.Cookies() {
		if strings.HasPrefix(cookie.Name, s.cookieName(prefix)) {
			names = append(names, cookie.Name)
		}
	}
	if len(names) < most {
		return
	}
	for _, name := range names {
		s.clearCookie(v, name)
	}
}

// clearFlow clears what this browser has of an attempt that is over.
func (s *Server) clearFlow(v *visit, f *connect.Flow) {
	for _, name := range []string{flowCookie + flowID(f.State), browserCookie + f.AttemptUID} {
		if s.cookie(v, name) != "" {
			s.clearCookie(v, s.cookieName(name))
		}
	}
}

func (s *Server) clearCookie(v *visit, name string) { s.setCookie(v, name, "", -time.Second) }

// setCookie sets a cookie that comes along on the way back from the provider (SameSite=Lax) and
// that no script can read.
func (s *Server) setCookie(v *visit, name, value string, life time.Duration) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure is left out where PublicURL is plain http: browsers would drop the cookie
		Name:     name,
		Value:    value,
		Path:     "/",
		MaxAge:   int(life.Seconds()),
		Secure:   s.https(),
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
