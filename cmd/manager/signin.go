// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/internal/callback"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/seal"
	"github.com/oauth-operator/oauth-operator/internal/signin"
)

// signInSecretKey is the key of the client secret in the Secret that --signin-client-secret names.
const signInSecretKey = "client-secret"

// signInOptions are the flags of web sign-in, named and working as kube-apiserver's --oidc flags.
type signInOptions struct {
	issuer, clientID, clientSecret string
	usernameClaim, usernamePrefix  string
	groupsClaim, groupsPrefix      string
	scopes                         []string
}

func (o *signInOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&o.issuer, "signin-issuer", "", "OpenID provider where people sign in to connect accounts without kubectl. Without it there is no web sign-in. Its redirect URI is <public-url>"+signin.CallbackPath+".")
	f.StringVar(&o.clientID, "signin-client-id", "", "The operator's client at --signin-issuer.")
	f.StringVar(&o.clientSecret, "signin-client-secret", "", "Secret in the operator's namespace that holds the client's secret under "+signInSecretKey+". Without it the client is public.")
	f.StringVar(&o.usernameClaim, "signin-username-claim", "sub", "Claim of the ID token that is the Kubernetes username, as kube-apiserver's --oidc-username-claim.")
	f.StringVar(&o.usernamePrefix, "signin-username-prefix", "", "Prefix of usernames. The default is the issuer and #, or nothing with claim email; - means nothing, as with kube-apiserver.")
	f.StringVar(&o.groupsClaim, "signin-groups-claim", "", "Claim of the ID token that lists the person's groups.")
	f.StringVar(&o.groupsPrefix, "signin-groups-prefix", "", "Prefix of groups.")
	f.StringSliceVar(&o.scopes, "signin-scope", nil, "Scope to ask for; repeatable. The default is openid, profile, email, and groups where the provider lists it and --signin-groups-claim is set.")
}

func (o *signInOptions) complete(publicURL string) error {
	switch {
	case o.issuer == "" && (o.clientID != "" || o.clientSecret != ""):
		return errors.New("--signin-client-id and --signin-client-secret need --signin-issuer")
	case o.issuer != "" && o.clientID == "":
		return errors.New("--signin-client-id is needed with --signin-issuer")
	case o.issuer != "" && publicURL == "":
		return errors.New("--public-url is needed with --signin-issuer")
	}
	return nil
}

// pages returns what the callback server needs for web sign-in, or nil.
func (o *signInOptions) pages(opts *options, live client.Client, guarded *http.Client, keyring *seal.Keyring, now clock.PassiveClock) (*callback.SignIn, error) {
	if o.issuer == "" {
		return nil, nil
	}
	config := signin.Config{
		Issuer: o.issuer, ClientID: o.clientID, RedirectURI: opts.publicURL + signin.CallbackPath, Scopes: o.scopes,
		UsernameClaim: o.usernameClaim, UsernamePrefix: o.usernamePrefix, GroupsClaim: o.groupsClaim, GroupsPrefix: o.groupsPrefix,
	}
	if o.clientSecret != "" {
		key := types.NamespacedName{Namespace: opts.namespace, Name: o.clientSecret}
		config.ClientSecret = func(ctx context.Context) (oauth.Secret, error) { return readSecret(ctx, live, key) }
	}
	p, err := signin.New(config, guarded, keyring, now)
	if err != nil {
		return nil, err
	}
	return &callback.SignIn{Provider: p, Reviewer: &signin.Reviewer{Client: live}}, nil
}

func readSecret(ctx context.Context, live client.Client, key types.NamespacedName) (oauth.Secret, error) {
	secret := &corev1.Secret{}
	if err := live.Get(ctx, key, secret); err != nil {
		return oauth.Secret{}, err
	}
	value, ok := secret.Data[signInSecretKey]
	if !ok {
		return oauth.Secret{}, fmt.Errorf("no key %s in Secret %s", signInSecretKey, key)
	}
	return oauth.NewSecret(string(value)), nil
}
