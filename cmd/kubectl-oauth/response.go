// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// outcomePatience is how long the browser is left waiting for what became of its response.
const outcomePatience = 30 * time.Second

// maxResponseValue bounds a code, in bytes, as the API does; maxResponseIssuer an issuer.
const (
	maxResponseValue  = 8192
	maxResponseIssuer = 2048
)

// errorCode has the characters that RFC 6749 section 4.1.2.1 allows.
var errorCode = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]{1,128}$`)

// response takes what the provider sends back to this machine and hands it to the operator, with
// redirect Loopback. The code is of no use here: the verifier is the operator's.
type response struct {
	authorize string       // the provider's page, with everything but the state
	state     oauth.Secret // that was sent to the provider
	// hand gives the response to the operator.
	hand func(*v1alpha1.AuthorizationResponse) error
	// outcome is what the browser waits for.
	outcome *outcome

	mu     sync.Mutex
	handed *v1alpha1.AuthorizationResponse
}

// outcome is a page that somebody waits for.
type outcome struct {
	known chan struct{}
	page  localPage // set before known is closed
}

func newOutcome() *outcome { return &outcome{known: make(chan struct{})} }

// tell ends the waiting. It may be called once.
func (o *outcome) tell(page localPage) {
	o.page = page
	close(o.known)
}

// newResponse reads the redirect URI out of the authorization request, which has to be ours.
func newResponse(authorizationURL, host string) (r *response, path string, err error) {
	address, err := webAddress(authorizationURL)
	if err != nil {
		return nil, "", err
	}
	query, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return nil, "", errUnknownAddress
	}
	raw, ok := once(query, "redirect_uri")
	back, err := url.Parse(raw)
	if !ok || err != nil || query.Has("state") || raw != "http://"+host+back.EscapedPath() || !strings.HasPrefix(back.EscapedPath(), "/callback/") {
		return nil, "", errUnknownAddress
	}
	return &response{authorize: authorizationURL, state: newSecret(), outcome: newOutcome()}, back.EscapedPath(), nil
}

// address is where the browser has to be opened. The request has other parameters already.
func (r *response) address() string {
	return r.authorize + "&state=" + r.state.Reveal()
}

// arrive is for loopback. The same response again, as by a reload, gets the same page.
func (r *response) arrive(query url.Values) (localPage, bool) {
	answer, ok := r.read(query)
	if !ok {
		return localPage{}, false
	}
	if page, ok := r.handOver(answer); !ok {
		return page, true
	}
	late := time.NewTimer(outcomePatience)
	defer late.Stop()
	select {
	case <-r.outcome.known:
		return r.outcome.page, true
	case <-late.C:
		return pendingPage, true
	}
}

// handOver gives the first response to the operator. It returns a page for what was not taken.
func (r *response) handOver(answer *v1alpha1.AuthorizationResponse) (localPage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handed == nil {
		if err := r.hand(answer); err != nil {
			return unsentPage, false
		}
		r.handed = answer
	}
	return otherResponsePage, reflect.DeepEqual(r.handed, answer)
}

// read takes what a provider sends (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207) and nothing
// ambiguous. Parameters that are not known are for the operator, whose description of the provider may
// ask for them.
func (r *response) read(query url.Values) (*v1alpha1.AuthorizationResponse, bool) {
	parsed, ok := oauth.ParseResponse(query, "")
	answer := &v1alpha1.AuthorizationResponse{Code: parsed.Code.Reveal(), Issuer: parsed.Issuer, Error: parsed.Error, Parameters: parsed.Parameters}
	switch {
	case !ok, !r.state.Equal(parsed.State), query.Has("code") == query.Has("error"),
		len(answer.Code) > maxResponseValue, len(answer.Issuer) > maxResponseIssuer:
		return nil, false
	}
	if answer.Error != "" && !errorCode.MatchString(answer.Error) {
		answer.Error = "server_error" // the provider's own words would not be stored
	}
	return answer, true
}
