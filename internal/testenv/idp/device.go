// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// slowDown is what RFC 8628 section 3.5 adds to the interval of whoever asks too often.
const slowDown = 5 * time.Second

// device is a device authorization request (RFC 8628 section 3.1) until its code is redeemed.
type device struct {
	client, userCode string
	scopes           []string
	expiry           time.Time
	interval         time.Duration
	asked            time.Time // zero: not yet

	user           string // empty until somebody has decided
	authTime       time.Time
	approved, over bool
}

// StoreDeviceAuthorization is given an expiry by the system's clock.
func (s *storage) StoreDeviceAuthorization(_ context.Context, client, deviceCode, userCode string, expires time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[deviceCode] = &device{
		client: client, userCode: userCode, scopes: scopes,
		expiry: s.now().Add(time.Until(expires)), interval: s.options.DeviceInterval,
	}
	return nil
}

// GetDeviceAuthorizatonState answers a poll. The library makes slow_down of an expired deadline.
func (s *storage) GetDeviceAuthorizatonState(_ context.Context, client, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.devices[deviceCode]
	if !ok || d.client != client {
		return nil, errUnknown
	}
	now := s.now()
	early := !d.asked.IsZero() && now.Sub(d.asked) < d.interval
	d.asked = now
	if early {
		d.interval += slowDown
		return nil, context.DeadlineExceeded
	}
	state := &op.DeviceAuthorizationState{
		ClientID: d.client, Scopes: d.scopes, Subject: d.user, AuthTime: d.authTime, AMR: []string{"pwd"},
		Done: d.over && d.approved, Denied: d.over && !d.approved, Expires: time.Now().Add(time.Minute),
	}
	switch {
	case d.over:
		delete(s.devices, deviceCode)
	case !now.Before(d.expiry):
		delete(s.devices, deviceCode)
		state.Expires = time.Time{}
	}
	return state, nil
}

// askDevice makes an authorization request of a user code, for the pages that a person walks.
func (s *storage) askDevice(userCode string) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for code, d := range s.devices {
		if d.userCode == strings.ToUpper(strings.TrimSpace(userCode)) && !d.over && s.now().Before(d.expiry) {
			request := &authRequest{
				AuthRequest: &oidc.AuthRequest{ClientID: d.client, Scopes: d.scopes}, id: rand.Text(), device: code,
			}
			s.requests[request.id] = request
			return request.id, true
		}
	}
	return "", false
}

func (s *storage) decideDevice(request authRequest, approved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, request.id)
	if d, ok := s.devices[request.device]; ok {
		d.user, d.authTime, d.approved, d.over = request.user, request.authTime, approved, true
	}
}

// deviceCode is the page on which a person types the user code. Then follow the pages of every other
// sign-in.
func (p *Provider) deviceCode(w http.ResponseWriter, r *http.Request) {
	content := page{Action: string(DeviceCode), Ask: true, UserCode: r.Form.Get("user_code")}
	if r.Method != http.MethodPost {
		p.render(w, http.StatusOK, content)
		return
	}
	id, ok := p.storage.askDevice(content.UserCode)
	if !ok {
		content.Wrong = true
		p.render(w, http.StatusForbidden, content)
		return
	}
	http.Redirect(w, r, p.URL(SignIn)+"?id="+id, http.StatusSeeOther)
}

// deviceDecided ends a device's walk.
func (p *Provider) deviceDecided(w http.ResponseWriter, request authRequest, approved bool) {
	p.storage.decideDevice(request, approved)
	p.render(w, http.StatusOK, page{Decided: true, Approved: approved})
}
