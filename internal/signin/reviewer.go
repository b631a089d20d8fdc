// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// authenticated is the group that the API server puts everybody in who is known to it.
const authenticated = "system:authenticated"

// Reviewer asks the API server who may connect accounts. Its client needs create on
// subjectaccessreviews.authorization.k8s.io and a scheme that knows them.
type Reviewer struct {
	Client client.Writer
}

// MayConnect says whether the person may create oauthauthorizations in the namespace, which is what
// kubectl oauth connect takes. The error is an *Error of kind Unavailable.
func (r *Reviewer) MayConnect(ctx context.Context, id Identity, namespace string) (bool, error) {
	// Without a namespace the question would be about all of them.
	if id.Username == "" || reserved(id.Username) || slices.ContainsFunc(id.Groups, reserved) || namespace == "" {
		return false, nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   id.Username,
		Groups: append(slices.Clone(id.Groups), authenticated),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace,
			Verb:      "create",
			Group:     v1alpha1.GroupVersion.Group,
			Version:   v1alpha1.GroupVersion.Version,
			Resource:  "oauthauthorizations",
		},
	}}
	if err := r.Client.Create(ctx, review); err != nil {
		return false, unavailable("the API server does not say who may connect", err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
