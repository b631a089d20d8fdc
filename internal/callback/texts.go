// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/connect"
)

// notice names a page without a form: a verdict, or a visit that is refused before there is one. Its
// words are in wordsOf; people see no others.
type notice = connect.Verdict

const (
	noTicket         notice = "noTicket"
	pageNotFound     notice = "pageNotFound"
	methodNotAllowed notice = "pageMethodNotAllowed"
	tooManyRequests  notice = "tooManyRequests"
	requestTooLarge  notice = "requestTooLarge"
	crossOrigin      notice = "crossOrigin"
	unknownFlow      notice = "unknownFlow"
	noAttempt        notice = "noAttempt"
	otherBrowser     notice = "otherBrowser"

	mayNotConnect       notice = "mayNotConnect"
	signInBroken        notice = "signInBroken"
	signInDown          notice = "signInDown"
	signInDenied        notice = "signInDenied"
	signInRefused       notice = "signInRefused"
	signInTooManyGroups notice = "signInTooManyGroups"
)

// next is what a page tells the person to do.
type next string

const (
	startAgain next = "start"    // open a fresh address
	look       next = "look"     // watch the connection
	describe   next = "describe" // read the connection's conditions
	askForRole next = "role"     // have the right given
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
	case connect.Connected, connect.ConnectedUnsaved, connect.Superseded:
		return goodWords(n)
	case connect.Denied, connect.ProviderFailed, connect.RequestRefused, connect.CodeRefused, connect.ClientRefused, connect.ExchangeFailed, connect.AddressBlocked, connect.ForeignToken, connect.NotSaved,
		connect.ExchangeRefused, connect.AccountNotExpected, connect.AccountUnknown, connect.Interrupted:
		return failureWords(n)
	case connect.BadResponse, unknownFlow, noAttempt, otherBrowser, connect.FlowExpired, connect.ClientChanged, connect.WrongIssuer, connect.AlreadyUsed:
		return arrivalWords(n)
	case noTicket, connect.ConnectionGone, connect.ConnectionSuspended, connect.NoPersonNeeded, connect.NotReady,
		connect.PluginNeeded, connect.DeviceNeeded, connect.MethodNotAllowed:
		return startWords(n)
	case mayNotConnect, signInBroken, signInDown, signInDenied, signInRefused, signInTooManyGroups:
		return signInWords(n)
	}
	return requestWords(n)
}

func goodWords(n notice) words {
	switch n {
	case connect.ConnectedUnsaved:
		return words{http.StatusOK, "good", "The account is connected", []string{
			"The token is being saved: the cluster's API server does not answer at the moment. The operator holds the token until it does.",
			"You can close this window."}, look}
	case connect.Superseded:
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
	case connect.Denied:
		return words{http.StatusOK, "plain", "The consent was denied", []string{nothing}, startAgain}
	case connect.AccountNotExpected:
		return words{http.StatusForbidden, "bad", "Another account is expected here", []string{
			nothing, "The connection takes one account only. Sign out at the provider, then start again and sign in as that one."}, startAgain}
	case connect.AccountUnknown:
		return words{http.StatusBadGateway, "bad", "The provider did not say which account this is", []string{
			nothing, "The connection expects one account, and the provider's answer names none. Scopes such as openid and email usually help."}, describe}
	case connect.RequestRefused, connect.ExchangeRefused:
		return words{http.StatusBadGateway, "bad", "The provider refused the request", []string{
			nothing, "Scopes, redirect address or client are not as the provider has them registered."}, describe}
	case connect.CodeRefused:
		return words{http.StatusBadGateway, "bad", "The provider did not accept its own code", []string{
			nothing, "Codes are good for a short time and for one use. Starting again usually helps."}, startAgain}
	case connect.ClientRefused:
		return words{http.StatusBadGateway, "bad", "The provider refused the client's credentials", []string{
			nothing, "Client id, client secret or the way of authentication are not as the provider has them registered."}, describe}
	case connect.AddressBlocked:
		return words{http.StatusBadGateway, "bad", "The operator may not connect to the provider", []string{
			nothing, "The platform team's outbound rules forbid the provider's token endpoint."}, describe}
	case connect.ForeignToken:
		return words{http.StatusBadGateway, "bad", "The provider's answer belongs to another request", []string{nothing}, startAgain}
	case connect.NotSaved:
		return words{http.StatusInternalServerError, "bad", "The token could not be saved", []string{nothing}, startAgain}
	case connect.ExchangeFailed:
		return words{http.StatusBadGateway, "bad", "The provider gave no usable answer", []string{
			nothing, "It could not be reached, or failed."}, startAgain}
	}
	return words{http.StatusBadGateway, "bad", "The provider reported an error", []string{nothing}, startAgain}
}

// arrivalWords speak of visitors from the provider that are not let in.
func arrivalWords(n notice) words {
	switch n {
	case unknownFlow:
		return words{http.StatusBadRequest, "bad", "This address does not work here", []string{
			"It was used already, is older than ten minutes, or belongs to another browser.",
			"Nothing was connected by this visit. What was connected before stays."}, startAgain}
	case noAttempt:
		return words{http.StatusNotFound, "plain", "This address leads nowhere", []string{
			"It is not complete, or the attempt that it belongs to has ended. Nothing was connected."}, startAgain}
	case otherBrowser:
		return words{http.StatusForbidden, "bad", "This is not the browser that started", []string{
			"An account is connected in the browser that kubectl oauth has opened, on the machine of the person who asked for it. Nothing was connected by this visit."}, startAgain}
	case connect.FlowExpired:
		return words{http.StatusBadRequest, "plain", "Too late", []string{
			"Connecting an account has to be finished within ten minutes. Nothing was connected."}, startAgain}
	case connect.ClientChanged:
		return words{http.StatusConflict, "bad", "The connection was changed meanwhile", []string{
			"What it asks for, or of whom, is not what you agreed to. Nothing was connected."}, startAgain}
	case connect.WrongIssuer:
		return words{http.StatusBadRequest, "bad", "This answer comes from another provider", []string{
			"It is not the provider you were sent to. Nothing was connected."}, startAgain}
	case connect.AlreadyUsed:
		return words{http.StatusConflict, "plain", "This address was used already", []string{
			"It works once. Nothing was changed by this visit."}, look}
	}
	return words{http.StatusBadRequest, "bad", "This address is not complete", []string{
		"It is not what a provider sends back. Nothing was connected."}, startAgain}
}

// startWords speak of connections that cannot be connected now.
func startWords(n notice) words {
	switch n {
	case connect.ConnectionGone:
		return words{http.StatusNotFound, "bad", "This connection does not exist any more", []string{
			"It was deleted, or made anew since this address was given out."}, look}
	case connect.ConnectionSuspended:
		return words{http.StatusConflict, "plain", "This connection is suspended", []string{
			"Its owner has set spec.suspend. An account can be connected once that is lifted."}, look}
	case connect.NoPersonNeeded:
		return words{http.StatusConflict, "plain", "This connection needs no person", []string{
			"Its client acts for itself."}, look}
	case connect.DeviceNeeded:
		return words{http.StatusConflict, "plain", "This connection is connected in another way", []string{
			"kubectl oauth shows a code, and the provider's page where to type it in."}, startAgain}
	case connect.PluginNeeded, connect.MethodNotAllowed:
		return words{http.StatusConflict, "plain", "This connection is connected in another way", []string{
			"Its provider sends people back to kubectl oauth on their own machine, and nowhere else."}, startAgain}
	case connect.NotReady:
		return words{http.StatusServiceUnavailable, "bad", "This connection is not ready to be connected", []string{
			"Its provider or client is not complete, or the provider does not answer. The conditions say what is missing."}, describe}
	}
	return words{http.StatusForbidden, "plain", "This address is not valid", []string{
		"Addresses to connect an account are good for a short time, for one connection and for one consent."}, startAgain}
}

// requestWords speak of requests that no page is for.
func requestWords(n notice) words {
	switch n {
	case pageNotFound:
		return words{http.StatusNotFound, "plain", "There is no such page", []string{
			"Look whether the whole address was copied."}, startAgain}
	case methodNotAllowed:
		return words{http.StatusMethodNotAllowed, "plain", "There is no such page", nil, startAgain}
	case tooManyRequests:
		return words{http.StatusTooManyRequests, "plain", "Too many requests", []string{
			"Too many requests came from your address. Wait a minute, then reload this page."}, ""}
	case requestTooLarge:
		return words{http.StatusRequestEntityTooLarge, "bad", "The request is too large", []string{
			"Nothing was started."}, startAgain}
	case crossOrigin:
		return words{http.StatusForbidden, "bad", "This was not sent by our own page", []string{
			"Another site, or a browser that is out of date, sent the form. Nothing was started."}, startAgain}
	}
	return words{http.StatusServiceUnavailable, "bad", "The cluster does not answer", []string{
		"Nothing was lost. Wait a moment, then start again."}, startAgain}
}

// command is what the person types. Names have been looked up or have the form of names; where they
// are not known, words in capitals stand for them.
func (s *Server) command(n next, about types.NamespacedName) string {
	namespace, name := about.Namespace, about.Name
	if name == "" {
		namespace, name = "NAMESPACE", "NAME"
	}
	switch n {
	case startAgain:
		if !s.Modes.Pairing && !s.Modes.PairingCode {
			return fmt.Sprintf("kubectl -n %s get oauthconnection %s -o jsonpath='{.status.authorizationURL}'", namespace, name)
		}
		return fmt.Sprintf("kubectl oauth connect %s -n %s", name, namespace)
	case askForRole:
		return fmt.Sprintf("kubectl -n %s create rolebinding connect-accounts \\\n  --clusterrole=edit --user=USER", namespace)
	case look:
		return fmt.Sprintf("kubectl -n %s get oauthconnection %s", namespace, name)
	case describe:
		return fmt.Sprintf("kubectl -n %s describe oauthconnection %s", namespace, name)
	}
	return ""
}
