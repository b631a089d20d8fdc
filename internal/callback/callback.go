// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"encoding/base64"

	"github.com/oauth-operator/oauth-operator/internal/connect"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// callback ends an authorization request.
func (s *Server) callback(ctx context.Context, v *visit) (*answer, error) {
	query := v.URL.Query()
	state := oauth.NewSecret(query.Get("state"))
	if len(query["state"]) != 1 || !ofOurs(state) {
		return nil, connect.Refuse(connect.BadResponse)
	}
	f, ok := s.flow(ctx, v, flowID(state.Reveal()))
	if !ok {
		return nil, connect.Refuse(unknownFlow)
	}
	v.about = f.Key()
	response, ok := oauth.ParseResponse(query, f.Code)
	if !ok || !response.State.Equal(oauth.NewSecret(f.State)) || f.Path != v.URL.Path {
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

// ofOurs says whether a state has the form of those that are made here.
func ofOurs(state oauth.Secret) bool {
	raw, err := base64.RawURLEncoding.DecodeString(state.Reveal())
	return err == nil && len(raw) == oauth.RandomBytes
}
