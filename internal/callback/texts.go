// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"errors"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// notice names a page without a form. Its words are in wordsOf; people see no others.
type notice string

const (
	noTicket            notice = "noTicket"
	pageNotFound        notice = "pageNotFound"
	methodNotAllowed    notice = "methodNotAllowed"
	tooManyRequests     notice = "tooManyRequests"
	requestTooLarge     notice = "requestTooLarge"
	crossOrigin         notice = "crossOrigin"
	unavailable         notice = "unavailable"
	connectionGone      notice = "connectionGone"
	connectionSuspended notice = "connectionSuspended"
	noPersonNeeded      notice = "noPersonNeeded"
	notReady            notice = "notReady"
	badResponse         notice = "badResponse"
	unknownFlow         notice = "unknownFlow"
	flowExpired         notice = "flowExpired"
	clientChanged       notice = "clientChanged"
	wrongIssuer         notice = "wrongIssuer"
	alreadyUsed         notice = "alreadyUsed"
	denied              notice = "denied"
	providerFailed      notice = "providerFailed"
	requestRefused      notice = "requestRefused"
	codeRefused         notice = "codeRefused"
	clientRefused       notice = "clientRefused"
	exchangeFailed      notice = "exchangeFailed"
	addressBlocked      notice = "addressBlocked"
	foreignToken        notice = "foreignToken"
	superseded          notice = "superseded"
	notSaved            notice = "notSaved"
	connected           notice = "connected"
	connectedUnsaved    notice = "connectedUnsaved"
)

// next is what a page tells the person to do.
type next string

const (
	startAgain next = "start"    // open a fresh address
	look       next = "look"     // watch the connection
	describe   next = "describe" // read the connection's conditions
)

// words are what a page says.
type words struct {
	Status int
	Tone   string // good, bad or plain: the colour of the page's edge
	Title  string
	Lines  []string
	Next   next
}

// wordsOf is every text that people may see, but for the consent page.
func wordsOf(n notice) words {
	switch n {
	case connected, connectedUnsaved, superseded:
		return goodWords(n)
	case denied, providerFailed, requestRefused, codeRefused, clientRefused, exchangeFailed, addressBlocked, foreignToken, notSaved:
		return failureWords(n)
	case badResponse, unknownFlow, flowExpired, clientChanged, wrongIssuer, alreadyUsed:
		return arrivalWords(n)
	case noTicket, connectionGone, connectionSuspended, noPersonNeeded, notReady:
		return startWords(n)
	}
	return requestWords(n)
}

func goodWords(n notice) words {
	switch n {
	case connectedUnsaved:
		return words{http.StatusOK, "good", "The account is connected", []string{
			"The token is being saved: the cluster's API server does not answer at the moment. The operator holds the token until it does.",
			"You can close this window."}, look}
	case superseded:
		return words{http.StatusConflict, "plain", "Somebody else connected an account meanwhile", []string{
			"That consent was given later than yours, so it is the one that is kept.",
			"You can close this window."}, look}
	}
	return words{http.StatusOK, "good", "The account is connected", []string{
		"The Secret with the access token is written now and kept fresh from here on.",
		"You can close this window."}, look}
}

// failureWords speak of attempts that the provider, or the way to it, ended.
func failureWords(n notice) words {
	const nothing = "No account was connected. What was connected before stays."
	switch n {
	case denied:
		return words{http.StatusOK, "plain", "The consent was denied", []string{nothing}, startAgain}
	case requestRefused:
		return words{http.StatusBadGateway, "bad", "The provider refused the request", []string{
			nothing, "Scopes, redirect address or client are not as the provider has them registered."}, describe}
	case codeRefused:
		return words{http.StatusBadGateway, "bad", "The provider did not accept its own code", []string{
			nothing, "Codes are good for a short time and for one use. Starting again usually helps."}, startAgain}
	case clientRefused:
		return words{http.StatusBadGateway, "bad", "The provider refused the client's credentials", []string{
			nothing, "Client id, client secret or the way of authentication are not as the provider has them registered."}, describe}
	case addressBlocked:
		return words{http.StatusBadGateway, "bad", "The operator may not connect to the provider", []string{
			nothing, "The platform team's outbound rules forbid the provider's token endpoint."}, describe}
	case foreignToken:
		return words{http.StatusBadGateway, "bad", "The provider's answer belongs to another request", []string{nothing}, startAgain}
	case notSaved:
		return words{http.StatusInternalServerError, "bad", "The token could not be saved", []string{nothing}, startAgain}
	case exchangeFailed:
		return words{http.StatusBadGateway, "bad", "The provider gave no usable answer", []string{
			nothing, "It could not be reached, or failed."}, startAgain}
	}
	return words{http.StatusBadGateway, "bad", "The provider reported an error", []string{nothing}, startAgain}
}

// arrivalWords speak of visitors from the provider that are not let in.
func arrivalWords(n notice) words {
	switch n {
	case unknownFlow:
		return words{http.StatusBadRequest, "bad", "This browser did not start this", []string{
			"The address belongs to another browser, took longer than ten minutes, or was used already.",
			"Nothing was connected by this visit."}, startAgain}
	case flowExpired:
		return words{http.StatusBadRequest, "plain", "Too late", []string{
			"Connecting an account has to be finished within ten minutes. Nothing was connected."}, startAgain}
	case clientChanged:
		return words{http.StatusConflict, "bad", "The connection was changed meanwhile", []string{
			"Its provider or client is not the one you agreed to. Nothing was connected."}, startAgain}
	case wrongIssuer:
		return words{http.StatusBadRequest, "bad", "This answer comes from another provider", []string{
			"It is not the provider you were sent to. Nothing was connected."}, startAgain}
	case alreadyUsed:
		return words{http.StatusConflict, "plain", "This address was used already", []string{
			"It works once. Whether an account is connected is shown by the connection itself."}, look}
	}
	return words{http.StatusBadRequest, "bad", "This address is not complete", []string{
		"It is not what a provider sends back. Nothing was connected."}, startAgain}
}

// startWords speak of connections that cannot be connected now.
func startWords(n notice) words {
	switch n {
	case connectionGone:
		return words{http.StatusNotFound, "bad", "This connection does not exist any more", []string{
			"It was deleted, or made anew since this address was given out."}, look}
	case connectionSuspended:
		return words{http.StatusConflict, "plain", "This connection is suspended", []string{
			"Its owner has set spec.suspend. An account can be connected once that is lifted."}, look}
	case noPersonNeeded:
		return words{http.StatusConflict, "plain", "This connection needs no person", []string{
			"Its client acts for itself (grant ClientCredentials)."}, look}
	case notReady:
		return words{http.StatusServiceUnavailable, "bad", "This connection is not ready to be connected", []string{
			"Its provider or client is not complete, or the provider does not answer. The conditions say what is missing."}, describe}
	}
	return words{http.StatusForbidden, "plain", "This address has no valid ticket", []string{
		"Addresses to connect an account are good for a short time and for one connection."}, startAgain}
}

// requestWords speak of requests that no page is for.
func requestWords(n notice) words {
	switch n {
	case pageNotFound:
		return words{http.StatusNotFound, "plain", "There is no such page", nil, ""}
	case methodNotAllowed:
		return words{http.StatusMethodNotAllowed, "plain", "There is no such page", nil, ""}
	case tooManyRequests:
		return words{http.StatusTooManyRequests, "plain", "Too many requests", []string{
			"Too many requests came from your address. Wait a minute, then reload this page."}, ""}
	case requestTooLarge:
		return words{http.StatusRequestEntityTooLarge, "bad", "The request is too large", nil, ""}
	case crossOrigin:
		return words{http.StatusForbidden, "bad", "This was not sent by our own page", []string{
			"Another site, or a browser that is out of date, sent the form. Nothing was started."}, ""}
	}
	return words{http.StatusServiceUnavailable, "bad", "The cluster does not answer", []string{
		"Nothing was lost. Wait a moment, then start again."}, startAgain}
}

// command is what the person types. Names have been looked up or have the form of names; where they
// are not known, words in capitals stand for them.
func command(n next, about types.NamespacedName) string {
	namespace, name := about.Namespace, about.Name
	if name == "" {
		namespace, name = "NAMESPACE", "NAME"
	}
	switch n {
	case startAgain:
		return fmt.Sprintf("kubectl -n %s get oauthconnection %s -o jsonpath='{.status.authorizationURL}'", namespace, name)
	case look:
		return fmt.Sprintf("kubectl -n %s get oauthconnection %s", namespace, name)
	case describe:
		return fmt.Sprintf("kubectl -n %s describe oauthconnection %s", namespace, name)
	}
	return ""
}

// providerSaid is the page for an error code of an authorization response (RFC 6749 section 4.1.2.1,
// OpenID Connect Core section 3.1.2.6). The code itself, and what comes with it, is not shown.
func providerSaid(code string) notice {
	switch code {
	case "access_denied", "consent_required", "interaction_required", "login_required", "account_selection_required":
		return denied
	case "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_target",
		"redirect_uri_mismatch", "application_suspended": // the last two: GitHub
		return requestRefused
	}
	return providerFailed
}

// exchangeNotice is the page for an error of the token endpoint.
func exchangeNotice(err error) notice {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return exchangeFailed
	}
	switch e.Kind {
	case oauth.Reauthorize:
		return codeRefused
	case oauth.ClientRejected:
		return clientRefused
	case oauth.Misconfigured:
		return requestRefused
	case oauth.Blocked:
		return addressBlocked
	}
	return exchangeFailed
}
