// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// summarize is the only writer of an OAuthConnection's status.
func (p *pass) summarize(ctx context.Context) error {
	status := &p.conn.Status
	address, err := p.startAddress(ctx)
	if err != nil {
		return err
	}
	status.ObservedGeneration = p.conn.Generation
	status.AuthorizationURL = address
	p.describeRecord()
	p.describeEnd()
	for _, r := range p.results {
		p.setCondition(r.condition, conditionStatus(r.stop == nil), r.reason, r.message)
	}
	was := meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition).DeepCopy()
	p.setReady()
	p.announce(was, meta.FindStatusCondition(status.Conditions, v1alpha1.ReadyCondition))
	return nil
}

// describeRecord copies what people may know of the record.
func (p *pass) describeRecord() {
	status := &p.conn.Status
	status.Account, status.Scopes, status.RefreshCount, status.ConsecutiveFailures = "", nil, 0, 0
	status.ExpiresAt, status.RefreshAt, status.LastRefreshTime = nil, nil, nil
	status.Binding = nil
	r := p.record
	if r == nil || r.Ended == endedUnreadable {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.TokenFreshCondition)
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.SecretPublishedCondition)
		return
	}
	status.Account, status.Scopes, status.RefreshCount = r.Account, r.Token.Scopes, r.Refreshes
	status.ExpiresAt = timeOrNil(r.Token.Expiry)
	status.LastRefreshTime = timeOrNil(r.Token.Obtained)
	if r.Ended == "" || p.actsForItself() {
		status.RefreshAt = timeOrNil(p.refreshAt) // a grant that has just ended is not renewed when it was due
	}
	if f := r.Failure; f != nil {
		status.ConsecutiveFailures = f.Count
		status.RefreshAt = timeOrNil(f.RetryAt)
	}
	if p.stopped() != nil && !p.asked(v1alpha1.TokenFreshCondition) {
		// An old True would hide that the token runs out.
		reason, message := v1alpha1.ReasonProgressing, "an earlier step has to be satisfied first"
		if r.Ended == "" && p.atRisk() {
			reason, message = v1alpha1.ReasonAtRisk, p.feared()+"; before it can be tried, "+message
		}
		p.setCondition(v1alpha1.TokenFreshCondition, metav1.ConditionUnknown, reason, message)
	}
	if !r.Token.AccessToken.IsZero() {
		status.Binding = &v1alpha1.Binding{Name: p.conn.TargetName()}
	}
}

// notice is how long before a grant ends that is told; at most a quarter of the time that it lasts.
const notice = 7 * 24 * time.Hour

// describeEnd tells when the grant ends however often it is renewed, and in the last days by a condition
// and one event. Ready is not touched: until then everything works.
func (p *pass) describeEnd() {
	if p.record != nil && p.client == nil {
		return // what the provider's description knows is not at hand: it stays as it was said
	}
	began, ends := p.grantEnds()
	status := &p.conn.Status
	status.RefreshTokenExpiresAt = timeOrNil(ends)
	from := ends.Add(-min(notice, ends.Sub(began)/4))
	if !ends.IsZero() && p.now.Before(from) {
		p.wake(from)
	}
	if ends.IsZero() || p.personNeeded || p.now.Before(from) {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.GrantExpiringCondition)
		return
	}
	however := ", however often it is renewed"
	if p.record.Failure != nil && began.Equal(p.record.Token.Obtained) {
		however = " unless it can be renewed before"
	}
	message := "the grant ends at " + clockTime(ends) + however + "; before that " + p.howToConnect()
	if !p.now.Before(ends) {
		message = "the grant was to end at " + clockTime(ends) + " and may be refused at any time; " + p.howToConnect()
	}
	if !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.GrantExpiringCondition) {
		p.event(corev1.EventTypeWarning, v1alpha1.ReasonGrantEnds, "Reconcile", message)
	}
	p.setCondition(v1alpha1.GrantExpiringCondition, metav1.ConditionTrue, v1alpha1.ReasonGrantEnds, message)
}

// grantEnds is when what ends began and when it ends; zero where that is not known, and where no person's
// consent is at stake.
func (p *pass) grantEnds() (began, ends time.Time) {
	r := p.record
	if r == nil || r.Ended != "" || p.actsForItself() || r.Fingerprint != p.client.Fingerprint || r.Token.AccessToken.IsZero() {
		return time.Time{}, time.Time{}
	}
	due := p.refreshAt
	if r.Failure != nil {
		due = time.Time{} // a refresh token that cannot be renewed does end
	}
	return p.client.GrantEnds(&r.Token, r.AuthorizedAt, due)
}

// setReady derives Ready and kstatus' two conditions from what the steps said.
func (p *pass) setReady() {
	halt := p.stopped()
	usable := p.usable()
	switch {
	case p.conn.Spec.Suspend:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSuspended,
			"spec.suspend is true: nothing is renewed or published")
		p.setKstatus("", "", "")
	case halt == nil && usable:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady,
			fmt.Sprintf("Secret %s holds a valid access token", p.conn.TargetName()))
		p.setKstatus("", "", "")
	case halt == nil:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the next token is on its way")
		p.setKstatus(v1alpha1.ReconcilingCondition, v1alpha1.ReasonProgressing, "the next token is on its way")
	case halt.Stalled:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, halt.Reason, halt.Message)
		p.setKstatus(v1alpha1.StalledCondition, halt.Reason, halt.Message)
	case usable:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionTrue, halt.Reason,
			fmt.Sprintf("Secret %s holds a valid access token; %s", p.conn.TargetName(), halt.Message))
		p.setKstatus(v1alpha1.ReconcilingCondition, halt.Reason, halt.Message)
	case p.record != nil && expired(p.record, p.now):
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonTokenExpired,
			"the access token expired; "+halt.Message)
		p.setKstatus(v1alpha1.ReconcilingCondition, halt.Reason, halt.Message)
	default:
		p.setCondition(v1alpha1.ReadyCondition, metav1.ConditionFalse, halt.Reason, halt.Message)
		p.setKstatus(v1alpha1.ReconcilingCondition, halt.Reason, halt.Message)
	}
}

// usable says whether the target Secret holds a token that a workload can use now.
func (p *pass) usable() bool {
	if p.record == nil || p.record.Token.AccessToken.IsZero() || expired(p.record, p.now) {
		return false
	}
	if !p.record.Token.Expiry.IsZero() {
		p.wake(p.record.Token.Expiry)
	}
	return meta.IsStatusConditionTrue(p.conn.Status.Conditions, v1alpha1.SecretPublishedCondition)
}

// setKstatus sets one of Reconciling and Stalled, or none, and removes the other.
func (p *pass) setKstatus(condition, reason, message string) {
	for _, c := range []string{v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition} {
		if c != condition {
			meta.RemoveStatusCondition(&p.conn.Status.Conditions, c)
			continue
		}
		p.setCondition(c, metav1.ConditionTrue, reason, message)
	}
}

func (p *pass) setCondition(condition string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&p.conn.Status.Conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: shortened(message, maxMessage),
		ObservedGeneration: p.conn.Generation, LastTransitionTime: metav1.NewTime(p.now),
	})
}

// announce makes an event when Ready changed its status or reason, and stays silent otherwise.
func (p *pass) announce(was, is *metav1.Condition) {
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	kind := corev1.EventTypeWarning
	if is.Reason == v1alpha1.ReasonReady || is.Reason == v1alpha1.ReasonProgressing ||
		is.Reason == v1alpha1.ReasonSuspended || is.Reason == v1alpha1.ReasonAuthorizationRequired {
		kind = corev1.EventTypeNormal
	}
	p.event(kind, is.Reason, "Reconcile", is.Message)
}

func (p *pass) event(kind, reason, action, message string) {
	p.Events.Eventf(p.conn, nil, kind, reason, action, "%s", shortened(message, maxNote))
}

const (
	// maxMessage bounds a condition's message, in bytes. The API server takes 32 KiB, and refuses the
	// whole status over a longer one: it would be tried again without end.
	maxMessage = 4 << 10
	// maxNote is what an event can hold, in bytes.
	maxNote = 1024
)

// shortened cuts a text: templates and scopes, which some messages repeat, can be long.
func shortened(text string, limit int) string {
	const more = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

// patchStatus writes the status once, only if it changed, and only over the version that was read.
// The rest of the object is not compared, and the answer is asked for as metadata: both would be work
// at each refresh.
func (r *ConnectionReconciler) patchStatus(ctx context.Context, before, after *v1alpha1.OAuthConnection) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	was := &v1alpha1.OAuthConnection{Status: before.Status}
	is := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{ResourceVersion: before.ResourceVersion}, Status: after.Status}
	patch, err := client.MergeFrom(was).Data(is)
	if err != nil {
		return err
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: after.Namespace, Name: after.Name}}
	answer.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OAuthConnection"))
	return client.IgnoreNotFound(r.Client.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch)))
}

func conditionStatus(ok bool) metav1.ConditionStatus {
	if ok {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// timeOrNil drops what the API does not keep, so that equal times compare as equal.
func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}
