// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

// Reasons in tokenstore.Record.Ended.
const (
	// endedRefused means that the provider refused the refresh token (invalid_grant).
	endedRefused = "refused"
	// endedUnreadable means that the record cannot be unsealed. It is never stored.
	endedUnreadable = "unreadable"
)

// unreadableRetry is how soon to look whether the keyset that a record was sealed with is back.
const unreadableRetry = 5 * time.Minute

// unknownRetry is how soon to ask again whose a seeded grant is.
const unknownRetry = 5 * time.Minute

// authorize asks whether a grant is held for this client and these scopes.
func (p *pass) authorize(ctx context.Context) error {
	if err := p.nameSeeded(ctx); err != nil {
		return err
	}
	held, next := "a grant is held", "connect again"
	if p.actsForItself() {
		held, next = "the client acts for itself", p.refreshCommand()
	} else if halt := p.plant(ctx, p.grantMissing()); halt != nil {
		p.personNeeded = true
		p.acknowledgeRefresh()
		halt.Message += "; " + p.howToConnect()
		return halt
	}
	if r := p.record; r != nil && r.IDTokenCause != "" {
		return p.done(v1alpha1.AuthorizedCondition, v1alpha1.ReasonIDTokenInvalid,
			fmt.Sprintf("%s, and the ID token that came with it cannot be trusted: %s; check the provider's issuer and client.id, then %s",
				held, r.IDTokenCause, next))
	}
	if missing := p.scopesMissing(); len(missing) > 0 {
		return p.done(v1alpha1.AuthorizedCondition, v1alpha1.ReasonScopesReduced,
			fmt.Sprintf("%s did not grant %s; drop them from spec.scopes, or have them granted to the client and %s",
				p.client.DisplayName, strings.Join(missing, ", "), next))
	}
	return p.done(v1alpha1.AuthorizedCondition, v1alpha1.ReasonAuthorized, held)
}

// scopesMissing are those asked for that the token in the record lacks. OpenID Connect's own are left
// out: providers rename them in the answer (Google) or do not name them (Entra, offline_access).
func (p *pass) scopesMissing() []string {
	if p.record == nil || p.record.Fingerprint != p.client.Fingerprint || p.record.Token.AccessToken.IsZero() {
		return nil
	}
	openID := []string{"openid", "profile", "email", "address", "phone", "offline_access"}
	return without(without(p.client.Scopes, p.record.Token.Scopes), openID)
}

// grantMissing is an ordered chain: the first thing that keeps the record's grant from being used.
func (p *pass) grantMissing() *stop {
	r := p.record
	switch {
	case r == nil:
		return &stop{Reason: v1alpha1.ReasonAuthorizationRequired, Message: "a person has to consent"}
	case r.Ended == endedUnreadable:
		return &stop{Reason: v1alpha1.ReasonRecordUnreadable, Stalled: true, Retry: unreadableRetry,
			Message: "the stored grant cannot be opened with the keys in the operator's keyset; restore that Secret, or connect again"}
	case r.Fingerprint != p.client.Fingerprint:
		return p.reauthorize("issuer, endpoints or client changed since a person consented, and the old grant is not sent anywhere new")
	case r.Ended != "":
		return p.reauthorize(p.endedWords(cmp.Or(r.EndedCode, "invalid_grant")))
	case p.otherAccount() && r.Account == "":
		halt := p.reauthorize(fmt.Sprintf("the provider did not say whose the grant is, and spec.expectedAccount is %q: the provider's account expression says where its answers have it", p.conn.Spec.ExpectedAccount))
		halt.Retry = unknownRetry
		return halt
	case p.otherAccount():
		return p.reauthorize(fmt.Sprintf("account %q is connected, and spec.expectedAccount is %q", r.Account, p.conn.Spec.ExpectedAccount))
	case len(without(p.client.Scopes, r.RequestedScopes)) > 0:
		return p.reauthorize("scopes were added since a person consented: " + strings.Join(without(p.client.Scopes, r.RequestedScopes), ", "))
	case !renewable(r) && expired(r, p.now):
		return p.reauthorize("the access token expired, and the provider gave no refresh token; many give one only for a scope such as offline_access")
	}
	return nil
}

// otherAccount says whether the record's account is not the one that is expected. Of a seeded grant that
// is known only once it has brought a token.
func (p *pass) otherAccount() bool {
	expected, r := p.conn.Spec.ExpectedAccount, p.record
	return expected != "" && expected != r.Account && (r.Seed == "" || !r.Token.AccessToken.IsZero())
}

func (p *pass) reauthorize(why string) *stop {
	return &stop{Reason: v1alpha1.ReasonReauthorizationRequired, Message: why, Stalled: true}
}

// howToConnect is the next command of everybody who waits for a person.
func (p *pass) howToConnect() string {
	modes := p.Starts.Modes
	name, namespace := p.conn.Name, p.conn.Namespace
	loopback := p.conn.Spec.Redirect == v1alpha1.RedirectLoopback
	var ways []string
	if p.conn.Spec.Grant == v1alpha1.GrantDeviceCode {
		if modes.Device {
			return fmt.Sprintf("kubectl oauth connect %s -n %s", name, namespace)
		}
		return "the platform team has not switched device codes on: ask them to (--connect-mode=DeviceCode; connectModes of the chart)"
	}
	if modes.Pairing {
		ways = append(ways, fmt.Sprintf("kubectl oauth connect %s -n %s", name, namespace))
	}
	if modes.PairingCode && !loopback {
		ways = append(ways, fmt.Sprintf("from a machine without a browser: kubectl oauth connect %s -n %s --code", name, namespace))
	}
	if (modes.Link > 0 || modes.SignIn) && !loopback {
		ways = append(ways, fmt.Sprintf("open the address that this prints: kubectl -n %s get oauthconnection %s -o jsonpath='{.status.authorizationURL}'", namespace, name))
	}
	if len(ways) == 0 {
		return "no way to connect is open: ask the platform team to switch one on (--connect-mode; connectModes of the chart)"
	}
	return strings.Join(ways, "; or ")
}

// actsForItself says that no person consents to what the client gets.
func (p *pass) actsForItself() bool { return !p.conn.Spec.Grant.NeedsPerson() }

func renewable(r *tokenstore.Record) bool { return !r.Token.RefreshToken.IsZero() }

// without lists what is in all and not in some.
func without(all, some []string) []string {
	var missing []string
	for _, s := range all {
		if !slices.Contains(some, s) {
			missing = append(missing, s)
		}
	}
	return missing
}
