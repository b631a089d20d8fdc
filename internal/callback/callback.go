// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/url"

	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// callback ends an authorization request.
func (s *Server) callback(ctx context.Context, v *visit) (*answer, error) {
	state, response, ok := parseResponse(v.URL.Query())
	if !ok {
		return nil, connect.Refuse(connect.BadResponse)
	}
	f, ok := s.flow(ctx, v, flowID(state))
	if !ok {
		return nil, connect.Refuse(unknownFlow)
	}
	v.about = f.Key()
	if subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 || f.Path != v.URL.Path {
		return nil, connect.Refuse(connect.BadResponse)
	}
	arrival, err := s.Verify(ctx, f, response)
	if err != nil {
		return nil, err
	}
	result, err := s.Settle(ctx, arrival)
	if err != nil {
		return nil, err
	}
	s.clearFlow(v, f)
	return s.resultAnswer(result, v.about), nil
}

// parseResponse takes what is needed of a query. No parameter may come twice (RFC 6749 section 3.1),
// and there is a code or an error.
func parseResponse(query url.Values) (string, connect.Response, bool) {
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(query[name]) > 1 {
			return "", connect.Response{}, false
		}
	}
	r := connect.Response{Code: oauth.NewSecret(query.Get("code")), Issuer: query.Get("iss"), Error: query.Get("error")}
	state, err := base64.RawURLEncoding.DecodeString(query.Get("state"))
	return query.Get("state"), r, err == nil && len(state) == connect.RandomBytes && r.Code.IsZero() != (r.Error == "")
}
