// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
)

// Flow is one authorization request. It is sealed, into a cookie or into the attempt's status, and
// kept nowhere else.
type Flow struct {
	Namespace     string `json:"ns"`
	Attempt       string `json:"attempt"` // the OAuthAuthorization
	AttemptUID    string `json:"attemptUID"`
	Connection    string `json:"conn"`
	ConnectionUID string `json:"connUID"`
	// State ties the flow to the attempt. With redirect Loopback it goes nowhere: kubectl oauth has a
	// state of its own.
	State       string    `json:"state"`
	Verifier    string    `json:"verifier"`
	Nonce       string    `json:"nonce"`
	Path        string    `json:"path"` // of the redirect URI, without PublicURL
	RedirectURI string    `json:"redirect"`
	Fingerprint string    `json:"fp"`
	Expires     time.Time `json:"exp"`
	// Code is the parameter of the response that holds the code; empty means code.
	Code string `json:"code,omitempty"`
}

// Key is the connection's.
func (f *Flow) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: f.Namespace, Name: f.Connection}
}

// Start makes the authorization request of an attempt and the address that carries it, which the
// provider is told before where it wants to be (RFC 9126). Note makes it the attempt's one. It fails
// with a *Refusal.
func (a *Attempts) Start(ctx context.Context, t *Target, attempt *v1alpha1.OAuthAuthorization) (*Flow, string, error) {
	f := &Flow{
		Namespace:     t.Connection.Namespace,
		Attempt:       attempt.Name,
		AttemptUID:    string(attempt.UID),
		Connection:    t.Connection.Name,
		ConnectionUID: string(t.Connection.UID),
		State:         oauth.Random(),
		Verifier:      oauth.Random(),
		Nonce:         oauth.Random(),
		Path:          t.Client.CallbackPath,
		RedirectURI:   t.Client.RedirectURI,
		Fingerprint:   t.Client.Fingerprint,
		Expires:       a.expiry(attempt),
		Code:          t.Client.Dialect.Code,
	}
	if t.Loopback() {
		f.RedirectURI = loopbackURI(attempt.Spec.Loopback, f.Path)
	}
	client := t.Client.Client
	client.RedirectURI = f.RedirectURI
	address, err := f.address(ctx, &client, t)
	if err != nil {
		return nil, "", err
	}
	if address == "" || f.Path == "" {
		return nil, "", Refuse(NotReady)
	}
	return f, address, nil
}

// address lacks the state where kubectl oauth adds one of its own; such a request cannot be pushed.
func (f *Flow) address(ctx context.Context, client *oauth.Client, t *Target) (string, error) {
	switch {
	case t.Loopback():
		return client.AuthorizationURL("", f.Verifier, f.Nonce), nil
	case client.Endpoints.PushedAuthorizationRequest == "":
		return client.AuthorizationURL(f.State, f.Verifier, f.Nonce), nil
	}
	address, err := client.Authorize(ctx, f.State, f.Verifier, f.Nonce)
	if err != nil {
		return "", refuseBy(client, err, "the request was pushed to the provider (RFC 9126): where it takes none, set the provider's pushedAuthorization to None")
	}
	return address, nil
}

// expiry is when the attempt ends, whichever step it is at.
func (a *Attempts) expiry(attempt *v1alpha1.OAuthAuthorization) time.Time {
	if attempt.Status.ExpiresAt != nil {
		return attempt.Status.ExpiresAt.Time
	}
	return a.Clock.Now().Add(Lifetime)
}

// loopbackURI is the redirect URI on the person's machine. Its path is the same as at the operator's
// callback address: one client registration cannot receive another's code (RFC 8252 section 8.10).
func loopbackURI(l *v1alpha1.Loopback, path string) string {
	return "http://" + net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port))) + path
}

// SealFlow seals a flow for one subject, which OpenFlow has to be told again.
func (a *Attempts) SealFlow(f *Flow, subject string) (string, error) { return a.sealed(f, subject) }

func (a *Attempts) sealed(flow any, subject string) (string, error) {
	plain, err := json.Marshal(flow)
	if err != nil {
		return "", err
	}
	return a.Keyring.SealText(seal.PurposeFlow, subject, plain)
}

// OpenFlow opens what SealFlow made. What was not sealed for this subject is as good as nothing.
func (a *Attempts) OpenFlow(ctx context.Context, sealed, subject string) (*Flow, bool) {
	plain, err := a.Keyring.UnsealText(ctx, seal.PurposeFlow, subject, sealed)
	if err != nil {
		return nil, false
	}
	f := &Flow{}
	return f, json.Unmarshal(plain, f) == nil
}

// hash is what may be known of the state.
func (f *Flow) hash() string { return oauth.NewSecret(f.State).Hash() }
