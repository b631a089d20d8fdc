// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const (
	// probeTimeout bounds one request to an address that is not the API server's.
	probeTimeout = 5 * time.Second
	// maxPage bounds what is read of its answer, in bytes.
	maxPage = 1 << 20
	// certificateSoon is when the end of a certificate is worth a warning.
	certificateSoon = 7 * 24 * time.Hour
)

// newWeb is for addresses of the operator and of providers. It goes where this machine's browsers go,
// by their proxy, follows no redirect and keeps no connection.
func newWeb() *http.Client {
	return &http.Client{
		Timeout: probeTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reach is what an address answered, or why it did not.
type reach struct {
	status   int
	location string
	body     string
	until    time.Time // of the certificate; zero without one
	err      error
}

// probe asks an address once.
func (d *doctor) probe(ctx context.Context, address, accept string) reach {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return reach{err: err}
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "kubectl-oauth/"+version())
	resp, err := d.web.Do(req)
	if err != nil {
		return reach{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	r := reach{status: resp.StatusCode, location: resp.Header.Get("Location"), body: string(body), err: err}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		r.until = resp.TLS.PeerCertificates[0].NotAfter
	}
	return r
}

// unreachable words an error of the HTTP client: what is wrong, and where to mend it.
func unreachable(err error) (found, mend string) {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var other x509.HostnameError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "its host name does not resolve", "make a DNS record for it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet", "renew the certificate"
	case errors.As(err, &other):
		return "its certificate is for another host", "issue a certificate for this host name"
	case errors.As(err, &certificate):
		return "its certificate is not trusted on this machine", "use a certificate of an authority that browsers trust"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("it does not answer within %s", probeTimeout), "see whether this machine, its proxy and the load balancer let it through"
	}
	return "it cannot be connected to", "see whether this machine, its proxy and the load balancer let it through"
}

// lookAtPublicAddress asks where the operator's pages are, as this person's browser would.
func (p *patient) lookAtPublicAddress(ctx context.Context) []finding {
	public := publicAddress(p.conn)
	if public == "" {
		return nil
	}
	if p.reached == nil {
		p.reached = map[string]reach{}
	}
	answer, asked := p.reached[public]
	if !asked {
		answer = p.probe(ctx, public+"/", "text/html")
		p.reached[public] = answer
	}
	found := []finding{judgePages(public, answer, p.now())}
	if found[0].Level == levelFault && meta.IsStatusConditionTrue(p.conn.Status.Conditions, v1alpha1.AuthorizedCondition) {
		found[0].Level = levelWarning // no browser has to get there now
	}
	if f, weak := judgeOrigin(public); weak {
		found = append(found, f)
	}
	return found
}

// publicAddress is what a Hosted redirect URI begins with: the operator's --public-url. It is empty
// where no browser is sent to the operator, or the operator did not say yet.
func publicAddress(conn *v1alpha1.OAuthConnection) string {
	parts := regexp.MustCompile(`^(.+)/callback/(?:ns/[^/]+/[^/]+|provider/[^/]+/[^/]+|cluster/[^/]+)$`).FindStringSubmatch(conn.Status.RedirectURI)
	if conn.Spec.Redirect == v1alpha1.RedirectLoopback || parts == nil {
		return ""
	}
	return parts[1]
}

// judgeOrigin says whether an address is one for production.
func judgeOrigin(address string) (finding, bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return finding{}, false
	case local(u.Hostname()):
		return warn("%s is a person's own machine: it works through a port-forward, and for nobody else", address).
			mended("give the operator an address that browsers reach: --public-url (chart: publicURL)"), true
	case u.Scheme != "https":
		return warn("%s is not https: authorization codes travel in the clear, and most providers refuse it", address).
			mended("put TLS in front of the operator and change --public-url (chart: publicURL); redirect URIs have to be registered again"), true
	}
	return finding{}, false
}

// local says whether a host is the machine itself.
func local(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// ownPage is in the title of every page of the operator.
const ownPage = "oauth-operator</title>"

// judgePages says whether the operator is behind an address. Its root has no page: the operator's own
// words for that are the proof.
func judgePages(public string, r reach, now time.Time) finding {
	switch left := r.until.Sub(now); {
	case r.err != nil:
		found, mend := unreachable(r.err)
		return fault(public+": "+found+", seen from this machine; browsers have to get there to connect an account", mend)
	case !strings.Contains(r.body, ownPage):
		return fault(fmt.Sprintf("%s: something else than the operator answers (HTTP %d)", public, r.status),
			"route this address, path and all, to Service oauth-operator-callback (Ingress or HTTPRoute), or correct --public-url (chart: publicURL)")
	case !r.until.IsZero() && left < certificateSoon:
		return warn("%s: its certificate ends %s", public, relative(r.until, now)).mended("renew the certificate")
	}
	return ok("%s shows the operator's pages", public)
}
