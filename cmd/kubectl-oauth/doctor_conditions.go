// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// lookAtConditions reads what the operator says, and whether that speaks of the connection as it is.
func (p *patient) lookAtConditions(context.Context) []finding {
	conn := p.conn
	ask := "ask the platform team whether the operator runs: " + findOperator
	var found []finding
	switch {
	case conn.DeletionTimestamp != nil:
		return []finding{warn("it is being deleted, since %s", relative(conn.DeletionTimestamp.Time, p.now())).
			mended("the operator removes its finalizer once the grant is revoked; %s", ask)}
	case len(conn.Status.Conditions) == 0:
		return []finding{fault("the operator has not looked at it yet", ask)}
	case conn.Status.ObservedGeneration < conn.Generation:
		found = append(found, fault("the operator has not looked at its last change: what follows speaks of what was before", ask))
	case overdue(conn, p.now()):
		found = append(found, fault("the operator was to refresh its token "+relative(conn.Status.RefreshAt.Time, p.now()), ask))
	}
	if conn.Spec.Suspend {
		found = append(found, warn("spec.suspend is true: nothing is renewed or published").
			mended("%s", p.kubectl(`patch oauthconnection %s --type=merge -p '{"spec":{"suspend":false}}'`, conn.Name)))
	}
	steps := p.steps()
	if ready := readyOf(conn); len(steps) == 0 && ready.Status != metav1.ConditionTrue && !conn.Spec.Suspend {
		steps = append(steps, p.judgeCondition(ready))
	}
	if found = append(found, steps...); len(found) == 0 {
		return []finding{ok("every step is done, and the connection is Ready")}
	}
	return found
}

// steps are those that are not done. One that was not reached has no condition.
func (p *patient) steps() []finding {
	var found []finding
	for _, name := range []string{
		v1alpha1.ClientResolvedCondition, v1alpha1.AuthorizedCondition, v1alpha1.TokenFreshCondition, v1alpha1.SecretPublishedCondition,
	} {
		c := meta.FindStatusCondition(p.conn.Status.Conditions, name)
		if c != nil && (c.Status != metav1.ConditionTrue || slices.Contains(reduced(), c.Reason)) {
			found = append(found, p.judgeCondition(*c))
		}
	}
	if c := meta.FindStatusCondition(p.conn.Status.Conditions, v1alpha1.GrantExpiringCondition); c != nil && c.Status == metav1.ConditionTrue {
		found = append(found, p.judgeCondition(*c))
	}
	return found
}

// reduced are the reasons of conditions that are True, and that somebody has to look at all the same.
func reduced() []string {
	return []string{v1alpha1.ReasonScopesReduced, v1alpha1.ReasonIDTokenInvalid, v1alpha1.ReasonResponseInvalid}
}

// judgeCondition is a fault, unless workloads have what they need all the same or the operator has
// only begun.
func (p *patient) judgeCondition(c metav1.Condition) finding {
	mend := p.mendFor(c.Reason)
	f := fault(fmt.Sprintf("%s is %s (%s): %s", c.Type, c.Status, dash(c.Reason), strings.TrimSuffix(c.Message, "; "+mend)), mend)
	usable := meta.IsStatusConditionTrue(p.conn.Status.Conditions, v1alpha1.ReadyCondition)
	if usable || c.Status != metav1.ConditionFalse || c.Reason == v1alpha1.ReasonProgressing {
		f.Level = levelWarning
	}
	return f
}

// mendFor is the next step for a reason. Messages of the operator often name it more exactly.
func (p *patient) mendFor(reason string) string {
	conn := p.conn
	switch reason {
	case v1alpha1.ReasonAuthorizationRequired, v1alpha1.ReasonReauthorizationRequired, v1alpha1.ReasonGrantEnds:
		return p.next("connect")
	case v1alpha1.ReasonRecordUnreadable:
		return p.next("connect") + ", or have the platform team restore Secret oauth-operator-keyset"
	case v1alpha1.ReasonProviderNotFound:
		return "correct spec.providerRef, or create the provider: " + p.kubectl("get oauthproviders; kubectl get clusteroauthproviders")
	case v1alpha1.ReasonNamespaceNotSelected:
		return "ask the platform team to let its namespaceSelector select this namespace: kubectl get clusteroauthproviders -o wide"
	case v1alpha1.ReasonProviderInvalid, v1alpha1.ReasonClientInvalid, v1alpha1.ReasonRequestRejected:
		return "correct what the message names: " + p.kubectl("edit oauthconnection %s", conn.Name)
	case v1alpha1.ReasonDiscoveryFailed, v1alpha1.ReasonIssuerMismatch:
		return "correct spec.provider.issuer, or set endpoints instead of it: " + p.kubectl("edit oauthconnection %s", conn.Name)
	case v1alpha1.ReasonClientSecretNotFound:
		return "create the Secret with its key; the operator notices within 30 s"
	case v1alpha1.ReasonClientKeyInvalid:
		return "put the key or certificate that the provider knows into the Secret; the operator notices within 30 s"
	case v1alpha1.ReasonServiceAccountTokenFailed:
		return "do what the message says: the operator asks for tokens of named ServiceAccounts only; then: " + p.next("refresh")
	case v1alpha1.ReasonSubjectInvalid, v1alpha1.ReasonSeedInvalid:
		return "create the Secret with the key that the message names; the operator notices within 30 s"
	case v1alpha1.ReasonIDTokenInvalid:
		return "compare issuer and client id with what the provider has, then: " + p.next("connect")
	case v1alpha1.ReasonResponseInvalid:
		return "correct the expressions that the message names, where the provider is described; then: " + p.next("refresh")
	case v1alpha1.ReasonEndpointNotAllowed:
		return "ask the platform team for --allow-cidr, if the address is meant to be reached"
	case v1alpha1.ReasonScopesReduced:
		return "drop the scopes from spec.scopes, or have them granted and run: " + p.next("connect")
	case v1alpha1.ReasonClientRejected:
		return "correct client id or client secret as the provider has them, then: " + p.next("refresh")
	case v1alpha1.ReasonAtRisk:
		return "it is tried without you, unless the message says otherwise; at once with: " + p.next("refresh") + ", and if the provider refuses it: " + p.next("connect")
	case v1alpha1.ReasonRefreshFailed, v1alpha1.ReasonThrottled, v1alpha1.ReasonTokenExpired:
		return "it is tried again; at once with: " + p.next("refresh")
	case v1alpha1.ReasonTokenUnsaved:
		return "do not delete the operator's pods; see why the API server refuses writes"
	case v1alpha1.ReasonSecretConflict:
		return p.otherTarget() + "; or hand the Secret over, as the message says"
	case v1alpha1.ReasonTemplateInvalid:
		return "correct spec.secret.template: " + p.kubectl("edit oauthconnection %s", conn.Name)
	case v1alpha1.ReasonProgressing:
		return "wait a moment, then: " + p.next("status")
	}
	return p.kubectl("describe oauthconnection %s", conn.Name)
}

// otherTarget is one way out where the target belongs to somebody else.
func (p *patient) otherTarget() string {
	return "choose another name: " + p.kubectl(`patch oauthconnection %s --type=merge -p '{"spec":{"secret":{"name":"%s-token"}}}'`, p.conn.Name, p.conn.TargetName())
}
