// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/egress"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	discoveryTimeout = 10 * time.Second
	discoveryTTL     = time.Hour
	discoveryRetry   = 30 * time.Second
	mismatchRetry    = 5 * time.Minute
	discoveryIssuers = 8192
	maxDocument      = 1 << 20
	// maxFound is the longest address that is taken from a document: as long as one can be written. With
	// all that are kept of each, so many issuers take 60 MiB.
	maxFound = 512
)

// metadata is what is used of an issuer's document (OpenID Connect Discovery section 3, RFC 8414
// section 2, RFC 8628 section 4, RFC 9126 section 5, RFC 9207 section 3). Its addresses were checked.
type metadata struct {
	Issuer string `json:"issuer"`
	advertised
	Keys          string   `json:"jwks_uri"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	IssInResponse bool     `json:"authorization_response_iss_parameter_supported"`
	RequirePushed bool     `json:"require_pushed_authorization_requests"`
	// MTLS are the addresses for clients that show a certificate (RFC 8705 section 5).
	MTLS advertised `json:"mtls_endpoint_aliases"`
}

// advertised are an issuer's endpoints.
type advertised struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Device        string `json:"device_authorization_endpoint"`
	Pushed        string `json:"pushed_authorization_request_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
}

// endpoints are those for a client, which may show a certificate.
func (m *metadata) endpoints(certificate bool) oauth.Endpoints {
	e := m.advertised
	if certificate {
		override(&e.Token, m.MTLS.Token)
		override(&e.Device, m.MTLS.Device)
		override(&e.Pushed, m.MTLS.Pushed)
		override(&e.Introspection, m.MTLS.Introspection)
		override(&e.Revocation, m.MTLS.Revocation)
		override(&e.UserInfo, m.MTLS.UserInfo)
	}
	return oauth.Endpoints{
		Authorization: e.Authorization, Token: e.Token, DeviceAuthorization: e.Device, PushedAuthorizationRequest: e.Pushed,
		Introspection: e.Introspection, Revocation: e.Revocation, UserInfo: e.UserInfo,
	}
}

// failure is why there is no metadata: a reason, and the cause with the next step in fixed words.
type failure struct {
	reason, cause string
	retry         time.Duration
}

func (f *failure) Error() string { return f.cause }

// discovery finds and remembers metadata.
type discovery struct {
	http   *http.Client
	policy egress.Policy
	clock  clock.PassiveClock
	cache  *lru.Cache[string, outcome]
	flight singleflight.Group
}

type outcome struct {
	found *metadata
	err   *failure
	until time.Time
}

func newDiscovery(client *http.Client, policy egress.Policy, c clock.PassiveClock) (*discovery, error) {
	cache, err := lru.New[string, outcome](discoveryIssuers)
	return &discovery{http: client, policy: policy, clock: c, cache: cache}, err
}

// lookup returns an issuer's metadata from the cache or its server. Callers that ask at the same
// time share one request, which none of them can cancel.
func (d *discovery) lookup(ctx context.Context, issuer string) (*metadata, error) {
	known, cached := d.cache.Get(issuer)
	if !cached || !d.clock.Now().Before(known.until) {
		answer := d.flight.DoChan(issuer, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discoveryTimeout)
			defer cancel()
			return d.renew(ctx, issuer, known.found), nil
		})
		select {
		case result := <-answer:
			known, _ = result.Val.(outcome)
		case <-ctx.Done():
			return nil, &failure{v1alpha1.ReasonDiscoveryFailed, "looking up its metadata was interrupted; it is tried again", discoveryRetry}
		}
	}
	if known.err != nil {
		return nil, known.err
	}
	return known.found, nil
}

// renew fetches and remembers. While an issuer cannot be asked its last metadata is used on: its
// token endpoint may well answer, and tokens must not expire over a well-known address.
func (d *discovery) renew(ctx context.Context, issuer string, last *metadata) outcome {
	found, err := d.fetch(ctx, issuer)
	o := outcome{found: found, err: err, until: d.clock.Now().Add(discoveryTTL)}
	if err != nil {
		o.until = d.clock.Now().Add(discoveryRetry)
		if last != nil && err.reason == v1alpha1.ReasonDiscoveryFailed {
			o.found, o.err = last, nil
		}
	}
	d.cache.Add(issuer, o)
	return o
}

// fetch asks the OpenID address, then, where there is no document, that of RFC 8414.
func (d *discovery) fetch(ctx context.Context, issuer string) (*metadata, *failure) {
	var err *failure
	for _, address := range oauth.MetadataAddresses(issuer) {
		var found *metadata
		var final bool
		if found, final, err = d.get(ctx, address); err == nil {
			return d.check(issuer, found)
		}
		if final {
			break
		}
	}
	return nil, err
}

// get reads one document. final means that asking elsewhere at this host is pointless.
func (d *discovery) get(ctx context.Context, address string) (found *metadata, final bool, _ *failure) {
	failed := func(cause string) *failure {
		return &failure{v1alpha1.ReasonDiscoveryFailed, cause, discoveryRetry}
	}
	resp, err := getJSON(ctx, d.http, address, "")
	if err != nil {
		var blocked *egress.BlockedError
		if errors.As(err, &blocked) {
			return nil, true, &failure{v1alpha1.ReasonEndpointNotAllowed, notAllowed(blocked), mismatchRetry}
		}
		return nil, true, failed(unreachable(err) + "; check the address, and that the operator's network lets it out")
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, false, failed("its metadata is not at /.well-known/openid-configuration or " +
			"/.well-known/oauth-authorization-server: HTTP " + strconv.Itoa(resp.StatusCode) +
			"; correct the issuer, or set endpoints instead of it")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, false, failed("its metadata could not be read to the end or is larger than the operator accepts")
	}
	err = json.Unmarshal(body, &found)
	// A field of the wrong type is as good as absent: most are there for others than us.
	if odd, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && odd.Field != "" && found != nil && found.Issuer != "" {
		err = nil
	}
	if err != nil || found == nil {
		return nil, false, failed("its metadata is not the JSON of RFC 8414 (a web page?); correct the issuer, or set endpoints instead of it")
	}
	return found, true, nil
}

// getJSON sends a GET, with an access token where there is one.
func getJSON(ctx context.Context, client *http.Client, address, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "oauth-operator")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return client.Do(req)
}

// unreachable words an error of the HTTP client, which itself may hold anything.
func unreachable(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		return "its host name does not resolve"
	case errors.As(err, &certificate):
		return "its TLS certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer within 10s"
	}
	return "it cannot be connected to"
}

// check compares the issuer, as a string (RFC 8414 section 3.3), and the addresses.
func (d *discovery) check(issuer string, found *metadata) (*metadata, *failure) {
	if found.Issuer != issuer {
		hint := "the metadata there names another issuer; use the provider's own spelling"
		switch found.Issuer {
		case issuer + "/":
			hint = "the metadata there names the same issuer with a slash at its end; add the slash"
		case strings.TrimSuffix(issuer, "/"):
			hint = "the metadata there names the same issuer without the slash at its end; remove the slash"
		}
		return nil, &failure{v1alpha1.ReasonIssuerMismatch, hint, mismatchRetry}
	}
	if err := d.usable("token_endpoint", found.Token, true); err != nil {
		return nil, err
	}
	if err := d.usable("authorization_endpoint", found.Authorization, false); err != nil {
		return nil, err
	}
	found.AuthMethods = offered(found.AuthMethods)
	// Not everybody needs the others: unusable is as good as absent.
	for _, address := range []*string{
		&found.Device, &found.Pushed, &found.Introspection, &found.Revocation, &found.UserInfo, &found.Keys,
		&found.MTLS.Token, &found.MTLS.Device, &found.MTLS.Pushed, &found.MTLS.Introspection, &found.MTLS.Revocation, &found.MTLS.UserInfo,
	} {
		if len(*address) > maxFound || checkAddress(d.policy, *address, true) != nil {
			*address = ""
		}
	}
	found.MTLS.Authorization = "" // only browsers go there
	return found, nil
}

// offered are those of the methods that make a difference. The provider's list is not kept: it can
// take a third of a MiB, and a host can be any number of issuers.
func offered(methods []string) []string {
	var known []string
	for _, method := range []string{
		"client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth",
	} {
		if slices.Contains(methods, method) {
			known = append(known, method)
		}
	}
	return known
}

// usable does not show the address: it is the provider's text.
func (d *discovery) usable(name, address string, dialled bool) *failure {
	if address == "" {
		return nil
	}
	err := checkAddress(d.policy, address, dialled)
	var blocked *egress.BlockedError
	switch {
	case errors.As(err, &blocked):
		return &failure{v1alpha1.ReasonEndpointNotAllowed, "the operator may not connect to the " + name +
			" in its metadata (" + blocked.Rule + "); ask the platform team for --allow-cidr or --allow-http", mismatchRetry}
	case err != nil, len(address) > maxFound:
		return &failure{v1alpha1.ReasonDiscoveryFailed, "the " + name +
			" in its metadata is not an address; set it under endpoints", mismatchRetry}
	}
	return nil
}
