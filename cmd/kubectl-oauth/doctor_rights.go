// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// The policies that the security model rests on.
const (
	requesterPolicy  = "oauth-operator-requester"
	referencesPolicy = "oauth-operator-references"
)

const policyHint = "ask the platform team to apply config/policy (chart: policies.enabled=true)"

// lookAtPolicies reads them where that is allowed, and else tries what one of them refuses.
func (d *doctor) lookAtPolicies(ctx context.Context) []finding {
	var faults []finding
	for _, name := range []string{requesterPolicy, referencesPolicy} {
		policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
		err := d.kube.Get(ctx, client.ObjectKey{Name: name}, policy)
		if err == nil {
			err = d.kube.Get(ctx, client.ObjectKey{Name: name}, binding)
		}
		switch {
		case apierrors.IsForbidden(err):
			return []finding{d.tryPolicies(ctx)}
		case isAbsent(err):
			faults = append(faults, fault("admission policy "+name+" or its binding is missing: "+riskOf(name), policyHint))
		case err != nil:
			return []finding{d.unseen("the admission policies", err)}
		case !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
			faults = append(faults, fault("the binding of admission policy "+name+" does not deny: "+riskOf(name), policyHint))
		}
	}
	if faults != nil {
		return faults
	}
	return []finding{ok("%s and %s are in force", requesterPolicy, referencesPolicy)}
}

func riskOf(policy string) string {
	if policy == requesterPolicy {
		return "people can connect accounts in another's name"
	}
	return "whoever writes connections can have Secrets sent away that they may not read"
}

// tryPolicies asks the API server what it would say to an attempt in another's name. Nothing is made.
func (d *doctor) tryPolicies(ctx context.Context) finding {
	attempt := &v1alpha1.OAuthAuthorization{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "doctor-", Namespace: d.team},
		Spec: v1alpha1.OAuthAuthorizationSpec{
			Connection: "doctor", Requester: "somebody else than who asks", Method: v1alpha1.PairingCode,
		},
	}
	err := d.kube.Create(ctx, attempt, client.DryRunAll)
	switch {
	case err == nil:
		return fault("an attempt to connect in another's name is not refused: admission policy "+requesterPolicy+" is not in force", policyHint)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), requesterPolicy):
		return ok("an attempt to connect in another's name is refused")
	case apierrors.IsForbidden(err):
		return note("you may not look at the admission policies, nor try them").
			mended("somebody with ClusterRole edit here can run this command")
	}
	return d.unseen("the admission policies", err)
}

// right is something that people need for this plugin.
type right struct {
	authorizationv1.ResourceAttributes
	does string
	// lacking is the level where the person does not have it.
	lacking level
	role    string
}

// rights are those of the everyday verbs.
func (d *doctor) rights() []right {
	group := v1alpha1.GroupVersion.Group
	needed := []right{
		{authorizationv1.ResourceAttributes{Verb: "list", Group: group, Resource: "oauthconnections"}, "see connections", levelFault, "view"},
		{authorizationv1.ResourceAttributes{Verb: "create", Group: group, Resource: "oauthauthorizations"}, "connect accounts", levelWarning, "edit"},
	}
	if d.only != "" && len(d.conns) > 0 {
		needed[0].Verb, needed[0].Name = "get", d.only
		target := authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Name: d.conns[0].TargetName()}
		needed = append(needed, right{target, "read Secret " + target.Name + " (kubectl oauth token)", levelNote, "edit"})
	}
	for i := range needed {
		needed[i].Namespace = d.team
	}
	return needed
}

// lookAtRights asks what the person may do, and names the role that allows the rest.
func (d *doctor) lookAtRights(ctx context.Context) []finding {
	who := &authenticationv1.SelfSubjectReview{}
	if err := d.kube.Create(ctx, who); err != nil {
		return []finding{d.unseen("who you are", err)}
	}
	user := who.Status.UserInfo.Username
	var lacking []finding
	var may []string
	for _, r := range d.rights() {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &r.ResourceAttributes}}
		if err := d.kube.Create(ctx, review); err != nil {
			return []finding{d.unseen("your rights", err)}
		}
		if review.Status.Allowed {
			may = append(may, r.does)
			continue
		}
		f := finding{Level: r.lacking, Found: clean(user) + " may not " + r.does + " in namespace " + d.team}
		lacking = append(lacking, f.mended("ask for ClusterRole %s here: kubectl -n %s create rolebinding oauth-%s --clusterrole=%s --user=%s", r.role, d.team, r.role, r.role, shellWord(user)))
	}
	if len(lacking) > 0 {
		return lacking
	}
	return []finding{ok("%s may %s", user, inWords(may))}
}
