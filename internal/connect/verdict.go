// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// Verdict is one way in which a step of an attempt ends. People are told differently for each.
type Verdict string

// Verdicts before anything was claimed.
const (
	ConnectionGone      Verdict = "connectionGone"
	ConnectionSuspended Verdict = "connectionSuspended"
	NoPersonNeeded      Verdict = "noPersonNeeded"
	NotReady            Verdict = "notReady"
	MethodNotAllowed    Verdict = "methodNotAllowed"
	// PluginNeeded means that the provider sends people back to kubectl oauth, and nowhere else.
	PluginNeeded Verdict = "pluginNeeded"
	// DeviceNeeded and BrowserNeeded mean that the connection has the other one of two grants.
	DeviceNeeded  Verdict = "deviceNeeded"
	BrowserNeeded Verdict = "browserNeeded"
	BadResponse   Verdict = "badResponse"
	FlowExpired   Verdict = "flowExpired"
	ClientChanged Verdict = "clientChanged"
	WrongIssuer   Verdict = "wrongIssuer"
	AlreadyUsed   Verdict = "alreadyUsed"
	// Unavailable is the API server's fault: trying again helps.
	Unavailable Verdict = "unavailable"
)

// Verdicts of a claimed attempt.
const (
	Connected          Verdict = "connected"
	ConnectedUnsaved   Verdict = "connectedUnsaved"
	Superseded         Verdict = "superseded"
	Denied             Verdict = "denied"
	ProviderFailed     Verdict = "providerFailed"
	RequestRefused     Verdict = "requestRefused"
	ExchangeRefused    Verdict = "exchangeRefused"
	CodeRefused        Verdict = "codeRefused"
	ClientRefused      Verdict = "clientRefused"
	ExchangeFailed     Verdict = "exchangeFailed"
	AddressBlocked     Verdict = "addressBlocked"
	ForeignToken       Verdict = "foreignToken"
	AccountNotExpected Verdict = "accountNotExpected"
	AccountUnknown     Verdict = "accountUnknown"
	CodeExpired        Verdict = "codeExpired"
	NotSaved           Verdict = "notSaved"
	Interrupted        Verdict = "interrupted"
)

// good says whether the account is connected.
func (v Verdict) good() bool { return v == Connected || v == ConnectedUnsaved }

// reason is that of the attempt's condition.
func (v Verdict) reason() string {
	switch v {
	case Connected, ConnectedUnsaved:
		return v1alpha1.ReasonConnected
	case ConnectionGone:
		return v1alpha1.ReasonConnectionNotFound
	case ConnectionSuspended:
		return v1alpha1.ReasonSuspended
	case NoPersonNeeded:
		return v1alpha1.ReasonNoPersonNeeded
	case NotReady:
		return v1alpha1.ReasonConnectionNotReady
	case MethodNotAllowed, PluginNeeded, DeviceNeeded, BrowserNeeded:
		return v1alpha1.ReasonMethodNotAllowed
	case Denied, ProviderFailed, RequestRefused:
		return v1alpha1.ReasonDenied
	case AccountNotExpected, AccountUnknown:
		return v1alpha1.ReasonAccountNotExpected
	case CodeExpired:
		return v1alpha1.ReasonCodeExpired
	case BadResponse, FlowExpired, ClientChanged, WrongIssuer, AlreadyUsed:
		return v1alpha1.ReasonResponseRefused
	}
	return v1alpha1.ReasonExchangeFailed
}

// Sentence says it in one line, without a full stop.
func (v Verdict) Sentence() string {
	return map[Verdict]string{
		ConnectionGone:      "this connection does not exist any more",
		ConnectionSuspended: "this connection is suspended: spec.suspend is true",
		NoPersonNeeded:      "this connection needs no person: its client acts for itself",
		NotReady:            "this connection is not ready to be connected",
		MethodNotAllowed:    "the platform team has not switched on this way of connecting",
		PluginNeeded:        "the provider sends people back to kubectl oauth on their own machine: connect with it, without --code",
		DeviceNeeded:        "this connection is connected by a code that is typed in at the provider (grant DeviceCode): use kubectl oauth connect",
		BrowserNeeded:       "this connection is connected in a browser that the provider sends back (grant AuthorizationCode): use kubectl oauth connect",
		BadResponse:         "the response is not what a provider sends back",
		FlowExpired:         "connecting took longer than ten minutes",
		ClientChanged:       "the connection's provider or client was changed meanwhile",
		WrongIssuer:         "the response comes from another provider than the one that was asked",
		AlreadyUsed:         "this attempt was used already",
		Unavailable:         "the cluster does not answer",
		Connected:           "an account was connected",
		ConnectedUnsaved:    "an account was connected, and its token is being saved",
		Superseded:          "somebody else connected an account meanwhile",
		Denied:              "the consent was denied",
		ProviderFailed:      "the provider reported an error",
		RequestRefused:      "the provider refused the request: scopes, redirect address or client are not as it has them registered",
		ExchangeRefused:     "the provider refused the request: scopes, redirect address or client are not as it has them registered",
		CodeRefused:         "the provider did not accept its own code",
		ClientRefused:       "the provider refused the client's credentials",
		ExchangeFailed:      "the provider gave no usable answer",
		AddressBlocked:      "the operator may not connect to the provider",
		ForeignToken:        "the provider's answer belongs to another request",
		AccountNotExpected:  "another account consented than spec.expectedAccount says",
		AccountUnknown:      "the provider did not say which account consented, and spec.expectedAccount asks for one: the provider's account expression says where its answers have it, else an ID token does (scope openid)",
		CodeExpired:         "nobody typed the code in before it ran out",
		NotSaved:            "the token could not be saved",
		Interrupted:         "the operator was interrupted; start again",
	}[v]
}

// Refusal is the error of a step before anything was claimed: nothing was consumed.
type Refusal struct {
	Verdict Verdict
	// Cause is for the log. People may see it only where Detail shows it.
	Cause error
	// Result is what the provider's refusal came to; nil where it was not asked.
	Result *Result
}

// Error implements error.
func (r *Refusal) Error() string { return r.Verdict.Sentence() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Detail is the sentence, and what the connection's condition says where that is the cause.
func (r *Refusal) Detail() string {
	if r.Result != nil {
		return r.Result.message()
	}
	if e, ok := errors.AsType[*provider.Error](r.Cause); ok && r.Verdict == NotReady {
		return r.Verdict.Sentence() + ": " + e.Message
	}
	return r.Verdict.Sentence()
}

// Refuse makes a Refusal.
func Refuse(v Verdict) error { return &Refusal{Verdict: v} }

// RefuseFor makes a Refusal with a cause for the log.
func RefuseFor(v Verdict, cause error) error { return &Refusal{Verdict: v, Cause: cause} }

// refuseBy is the refusal for a request to the provider that failed. hint is what to do where the
// provider's description does not tell: which request it was, and what of it can be set.
func refuseBy(c *oauth.Client, err error, hint string) error {
	result := refusedBy(c, err)
	if result.Next == "" {
		result.Next = hint
	}
	return &Refusal{Verdict: result.Verdict, Cause: err, Result: result}
}

// Result is how an attempt ended.
type Result struct {
	Verdict Verdict
	// Account that was connected, or that consented in place of Expected.
	Account, Expected string
	// Cause and Next are the words of the provider's description for what it refused; empty where it has
	// none.
	Cause, Next string
	// Detail takes the place of the verdict's sentence where it is set.
	Detail string
}

// message is that of the condition and the event.
func (r *Result) message() string {
	switch {
	case r.Detail != "":
		return r.Detail
	case r.Verdict == AccountNotExpected:
		return "account " + r.Account + " consented, and spec.expectedAccount is " + r.Expected
	}
	sentence := r.Verdict.Sentence()
	if r.Cause != "" {
		sentence, _, _ = strings.Cut(sentence, ": ") // the description knows it better
	}
	return InPlainWords(sentence, r.Cause, r.Next)
}

// Misfit names the expressions of a provider's description that could not read its answers.
func Misfit(issues []string) string {
	return "the provider's description does not fit its answers (" + strings.Join(issues, "; ") + "): correct it"
}

// InPlainWords adds to a sentence what the provider's description says of a refusal: what happened, and
// what to do. Both may be empty.
func InPlainWords(sentence, cause, next string) string {
	if cause != "" {
		sentence += ": " + cause
	}
	if next != "" {
		sentence += "; " + next
	}
	return sentence
}

// providerSaid is the verdict for an error code of an authorization response (RFC 6749 section
// 4.1.2.1, OpenID Connect Core section 3.1.2.6). The code itself, and what comes with it, is not shown.
func providerSaid(code string) Verdict {
	switch code {
	case "access_denied", "consent_required", "interaction_required", "login_required", "account_selection_required":
		return Denied
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target",
		"redirect_uri_mismatch", "application_suspended": // the last two: GitHub
		return RequestRefused
	}
	return ProviderFailed
}

// refusedBy is the result of a token request that failed, in the words of the provider's description
// where it has some.
func refusedBy(c *oauth.Client, err error) *Result {
	r := &Result{Verdict: exchangeVerdict(err)}
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		rule, _ := c.Explain(e.Code)
		r.Cause, r.Next = rule.Cause, rule.Next
		if len(e.Issues) > 0 {
			r.Cause, r.Next = Misfit(e.Issues), "connect again"
		}
	}
	return r
}

// exchangeVerdict is that of an error of the token endpoint.
func exchangeVerdict(err error) Verdict {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return ExchangeFailed
	}
	switch e.Kind {
	case oauth.Reauthorize:
		return CodeRefused
	case oauth.ClientRejected:
		return ClientRefused
	case oauth.Misconfigured:
		return ExchangeRefused
	case oauth.Blocked:
		return AddressBlocked
	}
	return ExchangeFailed
}
