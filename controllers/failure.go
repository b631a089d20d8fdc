// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/tokenstore"
)

const (
	// clientRejectedRetry is how soon rejected credentials are tried again unasked.
	clientRejectedRetry = 30 * time.Minute
	// secretPoll is how soon to look whether the client's Secret changed; Secrets of tenants are
	// not watched.
	secretPoll = 30 * time.Second
	// promptRetry follows a lost answer while the provider may still honour the token just spent.
	promptRetry = time.Second
	// patience is how long a provider may fail before somebody is asked to look.
	patience = 24 * time.Hour
)

// nextTry turns an error of the token endpoint into what the record remembers of it.
func (p *pass) nextTry(cause *oauth.Error) tokenstore.Failure {
	now := p.Clock.Now()
	f := tokenstore.Failure{
		Count: 1, Kind: cause.Kind, Code: cause.Code, Status: cause.Status, At: now, Since: now,
		Generation: p.conn.Generation, Revision: p.client.Revision,
	}
	if last := p.record.Failure; last != nil {
		f.Count, f.Since = last.Count+1, last.Since
	}
	if cause.RetryAfter > 0 {
		f.NotBefore = now.Add(cause.RetryAfter)
	}
	backoff := p.backoff(f)
	switch cause.Kind {
	case oauth.Misconfigured:
		// Only a change helps: RetryAt stays zero.
	case oauth.ClientRejected:
		f.RetryAt = now.Add(max(cause.RetryAfter, clientRejectedRetry))
	case oauth.Transient, oauth.Ambiguous:
		if f.Count == 1 && p.mayRepeat() {
			backoff = promptRetry
		}
		f.RetryAt = now.Add(max(cause.RetryAfter, backoff))
	default:
		// Blocked too: nothing was sent, and nobody tells when the policy or a name's address changes.
		f.RetryAt = now.Add(max(cause.RetryAfter, backoff))
	}
	return f
}

// backoff is how long to wait after a failure, unless the provider says it. While the access token works
// what is left of its life is spent on several tries.
func (p *pass) backoff(f tokenstore.Failure) time.Duration {
	seed := string(p.conn.UID)
	wait := oauth.Backoff(int(f.Count), seed)
	if left := p.record.Token.Expiry.Sub(f.At); left > 0 && f.Kind != oauth.Throttled {
		wait = min(wait, max(left/4, oauth.Backoff(1, seed)))
	}
	return wait
}

// mayRepeat says whether a refresh token that may have been spent is still good for one more try.
func (p *pass) mayRepeat() bool {
	return p.actsForItself() || p.client.Rotation == oauth.Static || p.client.RetryWindow > promptRetry
}

// failureStop says what the last failure means, from the record alone, so that it reads the same
// at every look and after a restart.
func (p *pass) failureStop() error {
	f := p.record.Failure
	halt := &stop{Stalled: f.Kind == oauth.Unexpected && p.now.Sub(f.Since) > patience}
	if !f.RetryAt.IsZero() {
		halt.Retry = max(f.RetryAt.Sub(p.now), time.Millisecond)
	}
	if p.toldToWait() {
		p.wake(f.NotBefore) // what was mended meanwhile is tried then
	}
	who := "the token endpoint of " + p.client.DisplayName
	again := "; it is asked again at " + clockTime(f.RetryAt)
	if heldBack(f) && p.atRisk() {
		return p.heldBackStop(halt)
	}
	switch f.Kind {
	case oauth.ClientRejected:
		halt.Stalled, halt.Reason, halt.Message = true, v1alpha1.ReasonClientRejected, p.clientRejectedMessage(f.Code)
		halt.Retry = min(halt.Retry, secretPoll)
	case oauth.Misconfigured:
		halt.Stalled, halt.Reason = true, v1alpha1.ReasonRequestRejected
		halt.Message = p.inWords(fmt.Sprintf("%s refused the request (%s)", who, answer(f)), f.Code, p.requestHint()) + ", then " + p.refreshCommand()
		if p.subjectIsStored() {
			halt.Retry = secretPoll
			halt.Message += fmt.Sprintf("; a change of the subject's Secret is noticed within %s", secretPoll)
		}
	case oauth.Blocked:
		halt.Stalled, halt.Reason = true, v1alpha1.ReasonEndpointNotAllowed
		halt.Message = who + " is at an address that the operator may not connect to; use a public https address, or ask the platform team for --allow-cidr"
	case oauth.Throttled:
		halt.Reason = v1alpha1.ReasonThrottled
		halt.Message = p.inWords(fmt.Sprintf("%s asked to wait (%s)", who, answer(f)), f.Code, "") + again
	case oauth.Ambiguous:
		halt.Reason = v1alpha1.ReasonRefreshFailed
		halt.Message = fmt.Sprintf("%s gave no usable answer (%s)", who, answer(f)) + again + p.misfit()
	default:
		halt.Reason = v1alpha1.ReasonRefreshFailed
		halt.Message = p.inWords(fmt.Sprintf("%s could not be used (%s)", who, answer(f)), f.Code, "") + again + p.misfit()
	}
	return p.withDoubt(halt)
}

// misfit names the expressions that could not read the answer.
func (p *pass) misfit() string {
	if len(p.record.Issues) == 0 {
		return ""
	}
	return "; " + connect.Misfit(p.record.Issues)
}

// inWords puts what the provider's description says of a refusal, what happened and what to do, after what;
// where it says nothing, our own guess.
func (p *pass) inWords(what, code, guess string) string {
	rule, _ := p.client.Explain(code)
	if rule.Cause == "" && rule.Next == "" {
		return what + guess
	}
	return connect.InPlainWords(what, rule.Cause, rule.Next)
}

// requestHint is what to look at where the provider's description does not tell.
func (p *pass) requestHint() string {
	hint := "; check "
	switch subject := p.conn.Spec.Subject; {
	case subject == nil:
	case subject.SignedJWT != nil:
		hint += "spec.subject.signedJWT (issuer, subject, audience and claims, and that the provider knows the key), "
	case subject.SecretRef != nil:
		hint += fmt.Sprintf("the token in key %s of Secret %s (spec.subject.secretRef: it may have expired), ", subject.SecretRef.Key, subject.SecretRef.Name)
	case subject.ServiceAccountRef != nil:
		hint += "spec.subject.serviceAccountRef (" + p.trusts(subject.ServiceAccountRef) + "), "
	}
	return hint + "spec.scopes and the provider's parameters"
}

// subjectIsStored says whether the request rests on a Secret, which nobody tells a change of.
func (p *pass) subjectIsStored() bool {
	subject := p.conn.Spec.Subject
	return subject != nil && subject.ServiceAccountRef == nil
}

// trusts is what a provider has to be told before it takes a ServiceAccount's tokens.
func (p *pass) trusts(ref *v1alpha1.ServiceAccountRef) string {
	return fmt.Sprintf("that the provider trusts this cluster's issuer, audience %s and subject system:serviceaccount:%s:%s",
		ref.Audience, p.conn.Namespace, ref.Name)
}

func (p *pass) clientRejectedMessage(code string) string {
	refused := fmt.Sprintf("%s refused the client (%s)", p.client.DisplayName, code)
	if words := p.inWords(refused, code, ""); words != refused {
		return words + fmt.Sprintf("; a change is noticed within %s", secretPoll)
	}
	refused += "; "
	spec := &p.conn.Spec
	switch {
	case p.client.ID == "" && spec.Subject != nil:
		return refused + fmt.Sprintf("no client is named, so none was sent: set spec.client where the provider wants one, or%s: kubectl -n %s edit oauthconnection %s",
			strings.TrimPrefix(p.requestHint(), ";"), p.conn.Namespace, p.conn.Name)
	case spec.Client == nil && spec.ProviderRef != nil && spec.ProviderRef.Kind == "ClusterOAuthProvider":
		return refused + fmt.Sprintf("ask the platform team to check client id and Secret of ClusterOAuthProvider %s; a change is noticed within %s",
			spec.ProviderRef.Name, secretPoll)
	case spec.Client == nil && spec.ProviderRef != nil:
		return refused + fmt.Sprintf("check spec.client of OAuthProvider %s, and the Secret that it names: kubectl -n %s describe oauthprovider %s; a change is noticed within %s",
			spec.ProviderRef.Name, p.conn.Namespace, spec.ProviderRef.Name, secretPoll)
	case spec.Client != nil && spec.Client.ServiceAccountRef != nil:
		return refused + fmt.Sprintf("check %s; then %s", p.trusts(spec.Client.ServiceAccountRef), p.refreshCommand())
	case spec.Client == nil || spec.Client.SecretRef == nil:
		return refused + fmt.Sprintf("check client id and secret (spec.client names no secretRef, so none was sent): kubectl -n %s edit oauthconnection %s",
			p.conn.Namespace, p.conn.Name)
	}
	ref := spec.Client.SecretRef
	switch p.client.Authentication {
	case oauth.TLS:
		return refused + fmt.Sprintf("check spec.client.id, and that the provider knows the certificate in Secret %s: kubectl -n %s describe secret %s; a change is noticed within %s",
			ref.Name, p.conn.Namespace, ref.Name, secretPoll)
	case oauth.PrivateKeyJWT:
		return refused + fmt.Sprintf("check spec.client.id and spec.client.keyID, that the provider knows the public key of key %s of Secret %s, and the provider's assertionAudience: "+
			"kubectl -n %s edit oauthconnection %s; a change is noticed within %s", ref.Key, ref.Name, p.conn.Namespace, p.conn.Name, secretPoll)
	}
	return refused + fmt.Sprintf("check spec.client.id and key %s of Secret %s: kubectl -n %s edit secret %s; a change is noticed within %s",
		ref.Key, ref.Name, p.conn.Namespace, ref.Name, secretPoll)
}

// refreshCommand asks for a renewal now.
func (p *pass) refreshCommand() string {
	return fmt.Sprintf(`kubectl -n %s annotate --overwrite oauthconnection %s %s="$(date +%%s)"`,
		p.conn.Namespace, p.conn.Name, v1alpha1.RefreshRequestedAnnotation)
}

// answer describes what came back, in fixed words.
func answer(f *tokenstore.Failure) string {
	switch {
	case f.Code != "" && f.Status != 0:
		return fmt.Sprintf("HTTP %d, %s", f.Status, f.Code)
	case f.Code != "":
		return f.Code
	case f.Status == http.StatusOK:
		return "HTTP 200 without a token"
	case f.Status != 0:
		return fmt.Sprintf("HTTP %d", f.Status)
	case f.Kind == oauth.Ambiguous:
		return "no answer"
	default:
		return "no connection"
	}
}

func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
