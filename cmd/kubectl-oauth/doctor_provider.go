// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider/catalog"
)

// description is what is known of a connection's provider and client, as far as it was written down.
// The operator alone puts it together for good.
type description struct {
	issuer, authorization string
	client                *v1alpha1.ClientSpec // nil where there is none
	// object is the provider object that holds the client; empty where the connection does.
	object string
	// cluster says that the client's Secret is in the operator's namespace.
	cluster bool
	pkce    bool
	scopes  []string
	// authentication is the client's way; empty where neither the client nor the provider says it.
	authentication v1alpha1.ClientAuthentication
	// names are what the provider calls the parameters of an authorization request.
	names map[string]string
}

// describe reads the provider object, where there is one. It is done once.
func (p *patient) describe(ctx context.Context) (*description, error) {
	if p.provider != nil {
		return p.provider, nil
	}
	spec := &v1alpha1.OAuthProviderSpec{}
	found := &description{}
	switch ref := p.conn.Spec.ProviderRef; {
	case ref == nil && p.conn.Spec.Provider != nil:
		spec.ProviderSpec = *p.conn.Spec.Provider
	case ref != nil && ref.Kind == "ClusterOAuthProvider":
		object := &v1alpha1.ClusterOAuthProvider{}
		if err := p.kube.Get(ctx, client.ObjectKey{Name: ref.Name}, object); err != nil {
			return nil, err
		}
		spec, found.object, found.cluster = &object.Spec.OAuthProviderSpec, "ClusterOAuthProvider "+ref.Name, true
	case ref != nil:
		object := &v1alpha1.OAuthProvider{}
		if err := p.kube.Get(ctx, client.ObjectKey{Namespace: p.conn.Namespace, Name: ref.Name}, object); err != nil {
			return nil, err
		}
		spec, found.object = &object.Spec, "OAuthProvider "+ref.Name
	}
	if found.client = spec.Client; p.conn.Spec.Client != nil {
		found.client, found.object, found.cluster = p.conn.Spec.Client, "", false
	}
	for _, scope := range p.conn.Spec.Scopes {
		found.scopes = append(found.scopes, string(scope))
	}
	found.addresses(&spec.ProviderSpec)
	if found.client != nil {
		found.authentication = cmp.Or(found.client.Authentication, found.authentication)
	}
	p.provider = found
	return found, nil
}

// addresses are those written down, or the preset's with its parameters filled in. An issuer of its
// own drops the preset's endpoints: they belong to another server.
func (d *description) addresses(spec *v1alpha1.ProviderSpec) {
	d.issuer = string(spec.Issuer)
	if spec.Endpoints != nil {
		d.authorization = string(spec.Endpoints.Authorization)
	}
	presets, err := catalog.Load()
	if err != nil {
		return
	}
	entry, found := presets.Entry(spec.Preset)
	if entry == nil {
		entry = &catalog.Entry{}
	}
	d.pkce = cmp.Or(spec.PKCE, entry.Spec.PKCE) != "None"
	d.authentication = cmp.Or(spec.ClientAuthentication, entry.Spec.ClientAuthentication)
	for _, rules := range []*v1alpha1.AuthorizationRequestRules{entry.Spec.AuthorizationRequest, spec.AuthorizationRequest} {
		if rules != nil {
			d.names = rules.Rename
		}
	}
	if !found || d.issuer != "" {
		return
	}
	fill := func(address v1alpha1.EndpointURL) string {
		filled := string(address)
		for i := range entry.Parameters {
			parameter := &entry.Parameters[i]
			if value := cmp.Or(spec.Parameters[parameter.Name], parameter.Default); parameter.Allows(value) {
				filled = strings.ReplaceAll(filled, "{"+parameter.Name+"}", value)
			}
		}
		if strings.Contains(filled, "{") {
			return "" // a parameter is missing: the operator says so
		}
		return filled
	}
	d.issuer = fill(entry.Spec.Issuer)
	if d.authorization == "" && entry.Spec.Endpoints != nil {
		d.authorization = fill(entry.Spec.Endpoints.Authorization)
	}
}

// probeable says whether this machine asks an address that somebody else wrote: by https, where the
// certificate proves the host, and not by a number of a private network.
func probeable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || local(u.Hostname()) {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err != nil || addr.IsGlobalUnicast() && !addr.IsPrivate()
}

// undescribed is what is found where describe fails.
func (p *patient) undescribed(err error) []finding {
	if isAbsent(err) {
		return nil // ClientResolved says so
	}
	return []finding{p.unseen("the provider object", err)}
}

// lookAtProvider asks for the issuer's metadata. What it finds is this machine's view: the operator's
// is in the conditions.
func (p *patient) lookAtProvider(ctx context.Context) []finding {
	d, err := p.describe(ctx)
	switch {
	case err != nil:
		return p.undescribed(err)
	case d.issuer == "" && d.authorization == "":
		return []finding{note("its addresses are not known here; condition ClientResolved speaks for them")}
	case d.issuer == "":
		return []finding{ok("its endpoints are written down; nothing is discovered")}
	case !probeable(d.issuer):
		return []finding{note("%s is not asked from here: it is not a public https address; condition ClientResolved speaks for it", d.issuer)}
	}
	var answer reach
	for _, address := range oauth.MetadataAddresses(d.issuer) {
		if answer = p.probe(ctx, address, "application/json"); answer.err != nil || answer.status == 200 {
			break
		}
	}
	f, authorization := judgeMetadata(d.issuer, answer)
	d.authorization = cmp.Or(d.authorization, authorization)
	return []finding{f}
}

// judgeMetadata compares the issuer (RFC 8414 section 3.3) and finds the authorization endpoint.
func judgeMetadata(issuer string, r reach) (_ finding, authorization string) {
	const operators = "; what counts is the operator's view, condition ClientResolved"
	metadata := struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
	}{}
	switch {
	case r.err != nil:
		found, mend := unreachable(r.err)
		return warn("issuer %s: %s, seen from this machine%s", issuer, found, operators).mended("correct the issuer, or %s", mend), ""
	case r.status != 200:
		return warn("issuer %s shows this machine no metadata (HTTP %d)%s", issuer, r.status, operators).
			mended("correct the issuer, or set endpoints instead of it"), ""
	case json.Unmarshal([]byte(r.body), &metadata) != nil:
		return warn("issuer %s shows this machine no JSON where its metadata should be%s", issuer, operators).
			mended("correct the issuer, or set endpoints instead of it"), ""
	case metadata.Issuer != issuer:
		return warn("the metadata of issuer %s names another issuer: %s", issuer, dash(metadata.Issuer)).
			mended("set issuer to %s, if that is the provider's own spelling", dash(metadata.Issuer)), ""
	}
	return ok("the metadata of issuer %s can be read", issuer), metadata.Authorization
}

// lookAtRedirect shows what to register, and asks the provider's authorization endpoint about it as a
// browser would that is not signed in. Providers need not answer before the person has signed in.
func (p *patient) lookAtRedirect(ctx context.Context) []finding {
	uri := p.conn.Status.RedirectURI
	if uri == "" {
		return nil
	}
	where := fmt.Sprintf("register exactly %s with the provider", uri)
	if p.conn.Spec.Redirect == v1alpha1.RedirectLoopback {
		where += " (as a native app: any port)"
	}
	d, err := p.describe(ctx)
	if err != nil || d.client == nil || !probeable(d.authorization) {
		return []finding{ok("%s", where)}
	}
	where += fmt.Sprintf(", for client %s", d.client.ID)
	request := oauth.Client{
		Endpoints: oauth.Endpoints{Authorization: d.authorization}, ID: d.client.ID, PKCE: d.pkce,
		Scopes: d.scopes, RedirectURI: uri, AuthorizationParams: p.conn.Spec.AuthorizationParams,
		Dialect: oauth.Dialect{AuthorizationNames: d.names},
	}
	verifier := strings.Repeat("kubectl-oauth-doctor-", 3) // of no use: no code is asked for with it
	answer := p.probe(ctx, request.AuthorizationURL("kubectl-oauth-doctor", verifier, "kubectl-oauth-doctor"), "text/html")
	return []finding{judgeRedirect(uri, where, answer)}
}

// refusals are the error codes of RFC 6749 section 4.1.2.1 that speak of the request.
func refusals() []string {
	return []string{"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope"}
}

// judgeRedirect is never sure: what providers show to whom is theirs.
func judgeRedirect(uri, register string, r reach) finding {
	to, err := url.Parse(r.location)
	sentBack := r.location != "" && strings.HasPrefix(r.location, uri)
	switch {
	case r.err != nil:
		found, _ := unreachable(r.err)
		return warn("the provider's authorization endpoint could not be asked about the redirect URI: %s", found).mended("%s", register)
	case r.status >= 400 && r.status < 500:
		return warn("the provider answers a request with redirect URI %s by HTTP %d: it may not be registered", uri, r.status).mended("%s", register)
	case err == nil && sentBack && slices.Contains(refusals(), to.Query().Get("error")):
		return warn("the provider knows the redirect URI, and refuses the request: %s", to.Query().Get("error")).
			mended("compare spec.scopes and the client's settings with the provider's")
	case err == nil && !sentBack && r.location != "" && slices.Contains(strings.Split(to.Path, "/"), "error"):
		return warn("the provider sends a request with redirect URI %s to a page of errors: it may not be registered", uri).mended("%s", register)
	case r.status >= 500:
		return warn("the provider's authorization endpoint fails (HTTP %d)", r.status).mended("try again later")
	}
	return ok("%s: the provider does not object to it", uri)
}
