// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/expirable"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// serviceAccountTokenLife is the shortest that the API server gives, in seconds.
	serviceAccountTokenLife = 600
	// What the API server said of an audience is remembered for a while: its own change only with a
	// restart of it.
	reviewedAudiences, reviewedFor = 1024, time.Hour

	operatorServiceAccount = "oauth-operator"
)

// ErrOwnAudience means that a token for this audience would let its receiver into the cluster.
var ErrOwnAudience = errors.New("the API server accepts tokens for this audience itself")

// errNotReviewed means that it is not known whether it would.
var errNotReviewed = errors.New("whether the API server accepts tokens for this audience could not be found out")

// ServiceAccountTokens asks the API server for short-lived tokens of ServiceAccounts.
type ServiceAccountTokens interface {
	// Token is one for the audience. The error is ErrOwnAudience where the API server itself would
	// accept it: such a token is never given away.
	Token(ctx context.Context, namespace, name, audience string) (oauth.Secret, error)
}

// NewServiceAccountTokens uses the TokenRequest API, and TokenReview to find out whether a token could
// be used against the API server.
func NewServiceAccountTokens(api kubernetes.Interface) ServiceAccountTokens {
	return &tokenRequests{api: api, reviewed: lru.NewLRU[string, bool](reviewedAudiences, nil, reviewedFor)}
}

type tokenRequests struct {
	api kubernetes.Interface
	// reviewed says of an audience whether it is the API server's own.
	reviewed *lru.LRU[string, bool]
}

func (t *tokenRequests) Token(ctx context.Context, namespace, name, audience string) (oauth.Secret, error) {
	life := int64(serviceAccountTokenLife)
	request, err := t.api.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &life},
	}, metav1.CreateOptions{})
	if err != nil {
		return oauth.Secret{}, err
	}
	token := request.Status.Token
	own, known := t.reviewed.Get(audience)
	if !known {
		if own, err = t.review(ctx, token, audience); err != nil {
			return oauth.Secret{}, errNotReviewed
		}
		t.reviewed.Add(audience, own)
	}
	if own {
		return oauth.Secret{}, ErrOwnAudience
	}
	return oauth.NewSecret(token), nil
}

// review says whether the API server takes a token as one of its own. A token that it takes for nobody,
// because its ServiceAccount was deleted meanwhile, tells nothing of an audience: others would be let out.
func (t *tokenRequests) review(ctx context.Context, token, audience string) (own bool, _ error) {
	// Without audiences of its own the review asks: are you the one that this is for?
	for i, audiences := range [][]string{nil, {audience}} {
		review, err := t.api.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		if review.Status.Authenticated {
			return i == 0, nil
		}
	}
	return false, errNotReviewed
}

// serviceAccountToken is one token, for the requests of this pass.
func (r *Resolver) serviceAccountToken(ctx context.Context, namespace string, ref *v1alpha1.ServiceAccountRef, at origin, field string) (maker, error) {
	refuse := func(format string, args ...any) error {
		e := at.errorf(v1alpha1.ReasonServiceAccountTokenFailed, field, format, args...)
		e.Retry = unwatchedRetry
		return e
	}
	if r.Tokens == nil {
		return nil, refuse("this operator has no way to ask for tokens of ServiceAccounts")
	}
	token, err := r.Tokens.Token(ctx, namespace, ref.Name, ref.Audience)
	switch {
	case err == nil:
		return given(token), nil
	case errors.Is(err, ErrOwnAudience):
		return nil, refuse("audience %q is the API server's own: whoever gets such a token can act in the cluster with it; "+
			"set the audience that the provider documents", printable(ref.Audience, maxShown))
	case errors.Is(err, errNotReviewed):
		return nil, refuse("whether audience %q is the API server's own could not be found out; it is tried again (the operator needs to create tokenreviews)",
			printable(ref.Audience, maxShown))
	case apierrors.IsNotFound(err):
		return nil, refuse("ServiceAccount %q not found in namespace %s; create it: kubectl -n %s create serviceaccount %s",
			ref.Name, namespace, namespace, ref.Name)
	case apierrors.IsForbidden(err):
		role := "oauth-operator-token-" + ref.Name
		return nil, refuse("the operator may not ask for tokens of ServiceAccount %q in namespace %s; allow it: "+
			"kubectl -n %s create role %s --verb=create --resource=serviceaccounts/token --resource-name=%s && "+
			"kubectl -n %s create rolebinding %s --role=%s --serviceaccount=%s:%s",
			ref.Name, namespace, namespace, role, ref.Name, namespace, role, role, r.Namespace, operatorServiceAccount)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return nil, refuse("the API server gives no token of ServiceAccount %q for audience %q; correct the audience",
			ref.Name, printable(ref.Audience, maxShown))
	}
	return nil, unavailable("a token of ServiceAccount "+namespace+"/"+ref.Name, err)
}
