// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// addClient makes the client's half.
func (r *Resolver) addClient(ctx context.Context, resolved *Resolved, s *source, d *description, found *metadata, ask bool) error {
	if s.client == nil && s.grant == "" {
		return nil
	}
	if s.client != nil {
		resolved.ID = s.client.ID
		if err := checkClient(resolved.Authentication, s); err != nil {
			return err
		}
	}
	if ask {
		if err := r.credentials(ctx, resolved, s, d); err != nil {
			return err
		}
	}
	if err := s.checkParams(d.spec); err != nil {
		return err
	}
	resolved.Scopes = scopes(s, d.spec.Scopes)
	resolved.TokenParams = s.mergedParams(resolved.TokenParams, s.tokenParams)
	if s.grant != "" && s.grant != v1alpha1.GrantAuthorizationCode {
		resolved.AuthorizationParams = nil
		return nil
	}
	if err := r.checkRedirect(resolved, s, found); err != nil {
		return err
	}
	resolved.AuthorizationParams = s.mergedParams(resolved.AuthorizationParams, s.authorizationParams)
	resolved.CallbackPath = s.callbackPath
	resolved.RedirectURI = r.redirectURI(s)
	return nil
}

// mergedParams adds what the connection says to what its provider says. An object's word stands:
// the platform team may ask for a domain (hd) or a second factor (acr_values) by it.
func (s *source) mergedParams(provider, connection map[string]string) map[string]string {
	if s.name != "" {
		return mergeMap(connection, provider)
	}
	return mergeMap(provider, connection)
}

// checkParams refuses what is the protocol's own under the provider's name for it. The API refuses it under
// the protocol's; and by the scope's other name a connection would ask for what a shared client's owner
// does not allow.
func (s *source) checkParams(spec *v1alpha1.ProviderSpec) error {
	for _, r := range renamings(spec) {
		field, params := "", map[string]string(nil)
		switch r.field {
		case authorizationRename:
			field, params = "spec.authorizationParams", s.authorizationParams
		case tokenRename:
			field, params = "spec.tokenParams", s.tokenParams
		}
		for _, name := range slices.Sorted(maps.Keys(r.names)) {
			if _, given := params[r.names[name]]; given && r.protocols(name) {
				return origin{}.errorf(v1alpha1.ReasonClientInvalid, field,
					"%s is this provider's name for %s, which is set by the operator; remove it", printable(r.names[name], maxShown), name)
			}
		}
	}
	return nil
}

// checkRedirect looks at where a connection's provider sends the person back to.
func (r *Resolver) checkRedirect(resolved *Resolved, s *source, found *metadata) error {
	refuse := func(text string) error {
		return origin{}.errorf(v1alpha1.ReasonClientInvalid, "spec.redirect", "%s", text)
	}
	switch {
	case s.grant == "":
	case s.loopback && !resolved.PKCE:
		// The code passes through the API server, where others may see it: only the verifier keeps it
		// from being of use to them.
		return refuse("Loopback needs a provider with PKCE, and this one is described with pkce: None; use Hosted")
	case s.loopback && found.RequirePushed && resolved.Endpoints.PushedAuthorizationRequest != "":
		return refuse("the provider wants authorization requests pushed, with the redirect URI in them, and Loopback's port is known only to the person's machine; use Hosted")
	case s.loopback && resolved.Dialect.Code != "":
		return refuse("the provider returns the code as " + resolved.Dialect.Code + ", which kubectl oauth does not look for; use Hosted")
	case s.loopback:
		resolved.Endpoints.PushedAuthorizationRequest = ""
	case r.PublicURL == "":
		return refuse("the operator has no public address, which Hosted needs; set redirect: Loopback, or ask the platform team to set one (--public-url; publicURL of the chart)")
	}
	return nil
}

// loopbackHost stands for every port of the person's machine (RFC 8252 section 7.3).
const loopbackHost = "http://127.0.0.1"

// redirectURI is empty where no person is sent anywhere. With Loopback it lacks the port, which
// kubectl oauth chooses anew each time.
func (r *Resolver) redirectURI(s *source) string {
	switch {
	case s.client == nil, s.grant != "" && s.grant != v1alpha1.GrantAuthorizationCode:
		return ""
	case s.loopback:
		return loopbackHost + s.callbackPath
	case r.PublicURL == "":
		return ""
	}
	return strings.TrimSuffix(r.PublicURL, "/") + s.callbackPath
}

// authentication is the client's own choice, else None where there is no secret, else the
// provider's way, else what its metadata offers. Basic is the default (RFC 6749 section 2.3.1).
func authentication(c *v1alpha1.ClientSpec, provider v1alpha1.ClientAuthentication, offered []string) oauth.Authentication {
	offers := func(methods ...string) bool {
		return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(offered, m) })
	}
	switch {
	case c == nil:
		return oauth.None
	case c.Authentication != "":
		return oauth.Authentication(c.Authentication)
	case c.SecretRef == nil:
		return oauth.None
	case provider != "":
		return oauth.Authentication(provider)
	case offers("client_secret_basic"):
		return oauth.Basic
	case offers("client_secret_post"):
		return oauth.Post
	case offers("private_key_jwt"):
		return oauth.PrivateKeyJWT
	case offers("tls_client_auth", "self_signed_tls_client_auth"):
		return oauth.TLS
	}
	return oauth.Basic
}

func checkClient(how oauth.Authentication, s *source) error {
	refuse := func(field, text string) error {
		return s.clientAt.errorf(v1alpha1.ReasonClientInvalid, field, "%s", text)
	}
	c := s.client
	switch {
	case how == oauth.ServiceAccountToken && c.ServiceAccountRef == nil:
		return refuse("client.serviceAccountRef", "authentication ServiceAccountToken needs a ServiceAccount; set serviceAccountRef, and authentication beside it")
	case how == oauth.ServiceAccountToken && c.SecretRef != nil:
		return refuse("client.secretRef", "authentication ServiceAccountToken takes no Secret; remove secretRef")
	case how == oauth.ServiceAccountToken:
		return nil
	case c.ServiceAccountRef != nil:
		return refuse("client.serviceAccountRef", "it belongs to authentication ServiceAccountToken; set that, or remove it")
	case s.grant == v1alpha1.GrantClientCredentials && how == oauth.None:
		return refuse("client.secretRef", "grant ClientCredentials needs a client secret; set secretRef, or serviceAccountRef with authentication ServiceAccountToken")
	case how != oauth.None && c.SecretRef == nil:
		return refuse("client.secretRef", "authentication "+string(how)+" needs a Secret; set secretRef, or authentication to None")
	case how == oauth.None && c.SecretRef != nil:
		return refuse("client.authentication", "the provider takes no client secret but secretRef is set; remove secretRef, or set authentication")
	}
	return nil
}

// credentials adds what the client and the subject show for themselves. It is had now, not when it is
// sent, so that what is wrong with it is said before any code or token is spent.
func (r *Resolver) credentials(ctx context.Context, resolved *Resolved, s *source, d *description) error {
	var err error
	var client, subject maker
	switch resolved.Authentication {
	case oauth.Basic, oauth.Post:
		err = r.clientSecret(ctx, resolved, s)
	case oauth.TLS:
		err = r.clientCertificate(ctx, resolved, s)
	case oauth.PrivateKeyJWT:
		client, err = r.clientAssertion(ctx, resolved, s)
	case oauth.ServiceAccountToken:
		client, err = r.serviceAccountToken(ctx, s.secretNamespace, s.client.ServiceAccountRef, s.clientAt, "client.serviceAccountRef")
	case oauth.None:
	}
	if err != nil {
		return err
	}
	if s.subject != nil {
		if subject, err = r.subject(ctx, resolved, s); err != nil {
			return err
		}
		resolved.Subject.TokenType, resolved.Subject.RequestedTokenType = s.subject.TokenType, s.subject.RequestedTokenType
	}
	resolved.bind = func(c *oauth.Client) {
		audience := audienceOf(d.spec, c)
		if client != nil {
			c.Assertion = func(ctx context.Context) (oauth.Secret, error) { return client(ctx, audience) }
		}
		if subject != nil {
			c.Subject.Token = func(ctx context.Context) (oauth.Secret, error) { return subject(ctx, audience) }
		}
	}
	resolved.bind(&resolved.Client)
	return nil
}

// maker makes an assertion for whom it is meant for, unless that was written down.
type maker func(ctx context.Context, audience string) (oauth.Secret, error)

// audienceOf is whom assertions are made for. With an issuer it is the issuer alone: one that a token
// endpoint takes could be sent on by whoever runs that.
func audienceOf(spec *v1alpha1.ProviderSpec, c *oauth.Client) string {
	switch {
	case spec.AssertionAudience != "":
		return spec.AssertionAudience
	case c.Issuer != "":
		return c.Issuer
	}
	return c.Endpoints.Token
}
