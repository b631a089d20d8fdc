// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// finishTimeout bounds what follows verification: claim, exchange (30 s), the account's name (10 s),
// a first try to save (10 s), the outcome.
const finishTimeout = 90 * time.Second

// response is an authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
type response struct {
	state string
	code  oauth.Secret
	iss   string
	error string
}

// arrival is a person who came back, with everything that was verified.
type arrival struct {
	response
	flow   *flow
	conn   *v1alpha1.OAuthConnection
	client *provider.Resolved
}

// callback ends an authorization request.
func (s *Server) callback(ctx context.Context, v *visit) (*answer, error) {
	a, err := s.verify(ctx, v)
	if err != nil {
		return nil, err
	}
	// From here on the person may leave and the lease may be lost: what the provider answers must be
	// kept all the same.
	defer s.Store.Hold()()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	attempt, err := s.claim(ctx, a.flow)
	if err != nil {
		return nil, err
	}
	s.clearFlow(v, a.flow)
	result := s.finish(ctx, a)
	s.Metrics.count(result.outcome)
	s.record(a.conn, result)
	if err := s.complete(ctx, attempt, result); err != nil {
		// The account is connected or not whatever the attempt says.
		log.FromContext(ctx).Error(err, "writing the outcome of an attempt", "connection", v.about, "outcome", result.outcome)
	}
	return result.answer(v.about), nil
}

// verify checks everything that can be checked without changing anything. What is forged, foreign or
// late ends here and consumes nothing.
func (s *Server) verify(ctx context.Context, v *visit) (*arrival, error) {
	a := &arrival{}
	var ok bool
	if a.response, ok = parseResponse(v.URL.Query()); !ok {
		return nil, refuse(badResponse)
	}
	if a.flow, ok = s.flow(ctx, v, flowID(a.state)); !ok {
		return nil, refuse(unknownFlow)
	}
	v.about = a.flow.connection()
	switch {
	case subtle.ConstantTimeCompare([]byte(a.flow.State), []byte(a.state)) != 1, a.flow.Path != v.URL.Path:
		return nil, refuse(badResponse)
	case !s.Clock.Now().Before(a.flow.Expires):
		return nil, refuse(flowExpired)
	}
	var err error
	if a.conn, err = s.connection(ctx, v.about, a.flow.ConnectionUID); err != nil {
		return nil, err
	}
	if a.client, err = s.resolve(ctx, a.conn); err != nil {
		return nil, err
	}
	switch {
	case a.client.Fingerprint != a.flow.Fingerprint, a.client.CallbackPath != a.flow.Path:
		return nil, refuse(clientChanged)
	case !a.fromIssuer():
		return nil, refuse(wrongIssuer)
	}
	return a, nil
}

// fromIssuer compares iss (RFC 9207 section 2.4). Where the issuer is not known, as with endpoints
// that were written by hand, there is nothing to compare with; the redirect URI, which is one per
// client, tells providers apart then.
func (a *arrival) fromIssuer() bool {
	if a.iss == "" {
		return !a.client.IssInResponse
	}
	return a.client.Issuer == "" || a.iss == a.client.Issuer
}

// parseResponse takes what is needed of a query. No parameter may come twice (RFC 6749 section 3.1),
// and there is a code or an error.
func parseResponse(query url.Values) (response, bool) {
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(query[name]) > 1 {
			return response{}, false
		}
	}
	r := response{
		state: query.Get("state"),
		code:  oauth.NewSecret(query.Get("code")),
		iss:   query.Get("iss"),
		error: query.Get("error"),
	}
	state, err := base64.RawURLEncoding.DecodeString(r.state)
	return r, err == nil && len(state) == randomBytes && r.code.IsZero() != (r.error == "")
}
