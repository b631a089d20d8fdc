// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// post sends a token request and returns what came back; it does not follow redirects.
func post(t *testing.T, p *idp.Provider, timeout time.Duration) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL(idp.Token), strings.NewReader("grant_type=client_credentials&scope=read"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept-Encoding", "identity")
	request.SetBasicAuth(idp.DefaultClient().ID, idp.DefaultClient().Secret)
	response, err := p.HTTPClient().Transport.RoundTrip(request)
	if err == nil {
		t.Cleanup(func() { response.Body.Close() })
	}
	return response, err
}

func TestAFaultAnswersInPlaceOfTheProvider(t *testing.T) {
	const size = 1 << 20
	for name, test := range map[string]struct {
		fault  idp.Fault
		status int
		header string // "Name: value"
		body   string // a part of it
	}{
		"status":       {idp.Status(503, "down"), 503, "", "down"},
		"a page":       {idp.HTML(502), 502, "Content-Type: text/html; charset=utf-8", idp.ProviderText},
		"OAuth error":  {idp.OAuthError("invalid_grant", 400), 400, "Content-Type: application/json", `"error":"invalid_grant"`},
		"error in 200": {idp.ErrorIn200("bad_refresh_token"), 200, "", `"error":"bad_refresh_token"`},
		"throttled":    {idp.Throttle(90 * time.Second), 429, "Retry-After: 90", ""},
		"redirect":     {idp.Redirect(307, "https://evil.example/"), 307, "Location: https://evil.example/", ""},
		"no expiry":    {idp.NoExpiry(), 200, "", `"scope":"read"`},
		"other scopes": {idp.OtherScopes("write"), 200, "", `"scope":"write"`},
		"huge":         {idp.HugeBody(size), 200, "", `xxx"}`},
		"gzip":         {idp.GzipBomb(size), 200, "Content-Encoding: gzip", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, idp.Options{})
			p.Fault(idp.Token, 1, test.fault)
			response, err := post(t, p, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.body) {
				t.Errorf("%d %.200q %v", response.StatusCode, body, err)
			}
			if header, value, ok := strings.Cut(test.header, ": "); ok && response.Header.Get(header) != value {
				t.Errorf("%s: %q", header, response.Header.Get(header))
			}
			if response, err := post(t, p, time.Minute); err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("the next request was not answered: %v", err)
			}
		})
	}
}

func TestAGzipBombDecompressesToItsSize(t *testing.T) {
	const size = 1 << 20
	p := start(t, idp.Options{})
	p.Fault(idp.Token, 1, idp.GzipBomb(size))
	response, err := post(t, p, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, plain); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestLeavingOutFieldsLeavesTheRest(t *testing.T) {
	p := start(t, idp.Options{Rotation: true})
	p.Fault(idp.Token, 1, idp.NoRefreshToken())
	p.Fault(idp.Token, 1, idp.NoExpiry())
	first, second, third := connect(t, p), connect(t, p), connect(t, p)
	if first.RefreshToken != "" || first.ExpiresIn != 30 {
		t.Errorf("first: %d", first.ExpiresIn)
	}
	if second.RefreshToken == "" || second.ExpiresIn != 0 {
		t.Errorf("second: %d", second.ExpiresIn)
	}
	if third.RefreshToken == "" || third.ExpiresIn != 30 {
		t.Errorf("third: %d", third.ExpiresIn)
	}
}

func TestAConnectionCutAfterProcessingHasSpentTheRefreshToken(t *testing.T) {
	p := start(t, idp.Options{Rotation: true})
	held := connect(t, p)
	p.Fault(idp.Token, 1, idp.Drop())
	if _, err := refresh(t, p, held.RefreshToken); err == nil || code(err) == "invalid_grant" {
		t.Fatalf("got %v, want a cut connection", err)
	}
	before := len(p.Issued())
	p.Fault(idp.Token, 1, idp.DropAfterProcessing())
	if _, err := refresh(t, p, held.RefreshToken); err == nil || code(err) == "invalid_grant" {
		t.Fatalf("got %v, want a cut connection", err)
	}
	if len(p.Issued()) != before+3 {
		t.Error("the tokens that nobody received are not in Issued")
	}
	if _, err := refresh(t, p, held.RefreshToken); code(err) != "invalid_grant" {
		t.Errorf("got %v, want invalid_grant", err)
	}
}

func TestAHangEndsWithTheClientTheChannelOrTheProvider(t *testing.T) {
	p := start(t, idp.Options{})
	p.Fault(idp.Token, 1, idp.Hang(nil))
	if _, err := post(t, p, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the client gave up: %v", err)
	}
	closed := make(chan struct{})
	close(closed)
	p.Fault(idp.Token, 1, idp.Hang(closed))
	p.Fault(idp.Token, 1, idp.HangAfterProcessing(closed))
	for range 2 {
		if response, err := post(t, p, time.Minute); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("the channel was closed: %v", err)
		}
	}
	inside := make(chan struct{})
	p.Fault(idp.Token, 1, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(inside)
		idp.Hang(nil)(w, r, next)
	})
	go func() {
		<-inside
		p.Close()
	}()
	if _, err := post(t, p, time.Minute); err == nil {
		t.Error("the provider was closed, yet answered")
	}
}

func TestAFaultWaitsForTheRequestsItIsFor(t *testing.T) {
	p := start(t, idp.Options{})
	p.FaultWhen(idp.Token, idp.Grant("refresh_token"), -1, idp.Status(500, ""))
	held := connect(t, p)
	for range 2 {
		if _, err := refresh(t, p, held.RefreshToken); err == nil {
			t.Error("the refresh was answered")
		}
	}
	p.ClearFaults()
	if _, err := refresh(t, p, held.RefreshToken); err != nil {
		t.Errorf("after ClearFaults: %v", err)
	}
}
