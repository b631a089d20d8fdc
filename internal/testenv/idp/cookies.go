// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// jar keeps cookies by the rules of browsers (draft-ietf-httpbis-rfc6265bis), where net/http's is
// laxer (no SameSite, no __Host-) and stricter (no Secure cookies on http://localhost).
type jar struct{ cookies []stored }

type stored struct {
	http.Cookie
	hostOnly bool
	expires  time.Time // zero: with the browser
}

// store keeps the cookies of an answer that a browser would accept.
func (j *jar) store(n *navigation, cookies []*http.Cookie) {
	for _, cookie := range cookies {
		kept, ok := accept(n, *cookie)
		if !ok {
			continue
		}
		j.cookies = slices.DeleteFunc(j.cookies, func(old stored) bool {
			return old.Name == kept.Name && old.Domain == kept.Domain && old.Path == kept.Path
		})
		if kept.expires.IsZero() || kept.expires.After(time.Now()) {
			j.cookies = append(j.cookies, kept)
		}
	}
}

func accept(n *navigation, cookie http.Cookie) (stored, bool) {
	name, host := strings.ToLower(cookie.Name), n.target.Hostname()
	isHost := strings.HasPrefix(name, "__host-")
	switch {
	case cookie.Secure && !trustworthy(n.target):
		return stored{}, false
	case isHost && (!cookie.Secure || cookie.Domain != "" || cookie.Path != "/"):
		return stored{}, false
	case strings.HasPrefix(name, "__secure-") && !cookie.Secure:
		return stored{}, false
	case cookie.SameSite == http.SameSiteNoneMode && !cookie.Secure:
		return stored{}, false
	}
	kept := stored{Cookie: cookie, hostOnly: cookie.Domain == ""}
	kept.Domain = strings.ToLower(strings.TrimPrefix(cookie.Domain, "."))
	if kept.hostOnly {
		kept.Domain = host
	}
	if !kept.coversHost(host) || kept.Domain != host && isPublicSuffix(kept.Domain) {
		return stored{}, false
	}
	if !strings.HasPrefix(cookie.Path, "/") {
		kept.Path = defaultPath(n.target.Path)
	}
	switch {
	case cookie.MaxAge != 0:
		kept.expires = time.Now().Add(time.Duration(cookie.MaxAge) * time.Second)
	case !cookie.Expires.IsZero():
		kept.expires = cookie.Expires
	}
	return kept, true
}

// send lists the cookies that go with a request.
func (j *jar) send(n *navigation) []*http.Cookie {
	var cookies []*http.Cookie
	for _, kept := range j.cookies {
		expired := !kept.expires.IsZero() && !kept.expires.After(time.Now())
		if expired || !kept.coversHost(n.target.Hostname()) || !kept.coversPath(n.target.Path) ||
			kept.Secure && !trustworthy(n.target) || !kept.allowedFrom(n) {
			continue
		}
		cookies = append(cookies, &http.Cookie{Name: kept.Name, Value: kept.Value})
	}
	return cookies
}

func (c stored) coversHost(host string) bool {
	host = strings.ToLower(host)
	return host == c.Domain || !c.hostOnly && net.ParseIP(host) == nil && strings.HasSuffix(host, "."+c.Domain)
}

func (c stored) coversPath(path string) bool {
	if path == "" {
		path = "/"
	}
	rest, ok := strings.CutPrefix(path, c.Path)
	return ok && (rest == "" || strings.HasSuffix(c.Path, "/") || rest[0] == '/')
}

// allowedFrom applies SameSite; a cookie that does not say is Lax.
func (c stored) allowedFrom(n *navigation) bool {
	if n.from == nil || relation(n.from.URL, n.target) != "cross-site" {
		return true
	}
	switch c.SameSite {
	case http.SameSiteNoneMode:
		return true
	case http.SameSiteStrictMode:
		return false
	default:
		return n.method == http.MethodGet
	}
}

func defaultPath(path string) string {
	if last := strings.LastIndex(path, "/"); last > 0 {
		return path[:last]
	}
	return "/"
}

// trustworthy addresses may have Secure cookies and are sent Fetch Metadata: https, and plain http
// of the machine itself.
func trustworthy(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return u.Scheme + "://" + u.Hostname()
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
}

// relation is Sec-Fetch-Site's: a site is a scheme and a registrable domain, whatever the port.
func relation(from, to *url.URL) string {
	switch {
	case origin(from) == origin(to):
		return "same-origin"
	case from.Scheme == to.Scheme && site(from.Hostname()) == site(to.Hostname()):
		return "same-site"
	default:
		return "cross-site"
	}
}

func site(host string) string {
	if net.ParseIP(host) != nil {
		return host
	}
	if registrable, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return registrable
	}
	return host
}

func isPublicSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

func worse(a, b string) string {
	order := []string{"none", "same-origin", "same-site", "cross-site"}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
