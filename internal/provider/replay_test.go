// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
	"github.com/oauth-operator/oauth-operator/internal/provider"
)

// minReplays are the shapes of dialects that there have to be.
const minReplays = 25

// replay is one file of testdata/replays: what a provider documents that it gets and answers.
type replay struct {
	Shape         string            `json:"shape"`
	Documentation string            `json:"documentation"`
	Preset        string            `json:"preset"`
	Parameters    map[string]string `json:"parameters,omitempty"`
	Scopes        []v1alpha1.Scope  `json:"scopes,omitempty"`
	Client        struct {
		ID     string `json:"id"`
		Secret string `json:"secret,omitempty"`
	} `json:"client"`
	Authorization *struct {
		Address string            `json:"address"`
		Query   map[string]string `json:"query,omitempty"`
	} `json:"authorization,omitempty"`
	Callback map[string]string `json:"callback,omitempty"`
	Exchange scene             `json:"exchange"`
	UserInfo *struct {
		Address  string   `json:"address"`
		Response response `json:"response"`
	} `json:"userInfo,omitempty"`
	Refresh *scene  `json:"refresh,omitempty"`
	Errors  []scene `json:"errors,omitempty"`
	Revoke  *scene  `json:"revoke,omitempty"`
}

type scene struct {
	Request  *request `json:"request,omitempty"`
	Response response `json:"response"`
	Want     *want    `json:"want,omitempty"`
}

type request struct {
	Method  string            `json:"method,omitempty"`
	Address string            `json:"address"`
	Headers map[string]string `json:"headers,omitempty"`
	Form    map[string]string `json:"form,omitempty"`
	JSON    map[string]string `json:"json,omitempty"`
}

type response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// want has of a token what the file says something about, and of a refusal kind and code.
type want struct {
	AccessToken           *string           `json:"accessToken,omitempty"`
	RefreshToken          *string           `json:"refreshToken,omitempty"`
	TokenType             *string           `json:"tokenType,omitempty"`
	ExpiresIn             *int64            `json:"expiresIn,omitempty"`
	RefreshTokenExpiresIn *int64            `json:"refreshTokenExpiresIn,omitempty"`
	Scopes                []string          `json:"scopes,omitempty"`
	Account               *string           `json:"account,omitempty"`
	Metadata              map[string]string `json:"metadata,omitempty"`
	Kind                  string            `json:"kind,omitempty"`
	Code                  *string           `json:"code,omitempty"`
}

func TestReplaysOfProvidersThatDepartFromTheRFC(t *testing.T) {
	files, err := filepath.Glob("testdata/replays/*.yaml")
	if err != nil || len(files) < minReplays {
		t.Errorf("there are %d replays, %v; at least %d are needed", len(files), err, minReplays)
	}
	shapes := map[string]string{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := &replay{}
			if err := yaml.UnmarshalStrict(raw, r); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if u, err := url.Parse(r.Documentation); err != nil || u.Scheme != "https" || u.Host == "" {
				t.Errorf("documentation: %q is no https address", r.Documentation)
			}
			if other := shapes[r.Shape]; r.Shape == "" || other != "" {
				t.Errorf("shape: it is empty or that of %s; say in a few words what is distinct", other)
			}
			shapes[r.Shape] = file
			(&stage{T: t, replay: r}).play()
		})
	}
}

// stage plays a replay's scenes one after the other.
type stage struct {
	*testing.T
	*replay
	issuer   string
	resolved *provider.Resolved

	mu    sync.Mutex
	next  *scene
	what  string // of the file, for messages
	asked bool
}

func (s *stage) play() {
	s.resolve()
	verifier := oauth.Random()
	token, metadata := s.connect(verifier)
	if token == nil {
		return
	}
	renewed := s.renew(token, metadata)
	for i := range s.Errors {
		s.refusal("errors["+strconv.Itoa(i)+"]", &s.Errors[i], token, metadata, verifier)
	}
	if s.Revoke != nil {
		s.expect("revoke", s.Revoke)
		s.answered(s.client(metadata).Revoke(s.Context(), renewed))
	} else if s.resolved.Endpoints.Revocation != "" {
		s.Error("revoke: it is missing, and the preset has a revocation endpoint")
	}
}

// resolve makes the client of the preset as it is.
func (s *stage) resolve() {
	entry, found := presets(s.T).Entry(s.Preset)
	if !found {
		s.Fatalf("preset: there is no %q", s.Preset)
	}
	s.issuer = string(entry.Spec.Issuer)
	for _, p := range entry.Parameters {
		value := p.Default
		if given, found := s.Parameters[p.Name]; found {
			value = given
		}
		s.issuer = strings.ReplaceAll(s.issuer, "{"+p.Name+"}", value)
	}
	conn := connection(v1alpha1.ProviderSpec{Preset: s.Preset, Parameters: s.Parameters})
	conn.Spec.Scopes = s.Scopes
	conn.Spec.Client = &v1alpha1.ClientSpec{ID: s.Client.ID}
	objects := []client.Object{}
	if s.Client.Secret != "" {
		conn.Spec.Client = confidential(s.Client.ID)
		objects = append(objects, secret("team-a", "s", s.Client.Secret))
	}
	if s.Authorization == nil {
		conn.Spec.Grant = v1alpha1.GrantClientCredentials
	}
	e := setup(s.T, nil, objects...)
	e.HTTP = s.network()
	var err error
	s.resolved, err = e.Connection(s.Context(), conn)
	if err != nil {
		s.Fatalf("the preset with these parameters and this client: %v", err)
	}
}

func (s *stage) client(metadata map[string]string) *oauth.Client {
	c, err := s.resolved.For(metadata)
	if err != nil {
		s.Fatalf("endpoints that need metadata: %v", err)
	}
	return c
}

// connect does what a person's consent sets off.
func (s *stage) connect(verifier string) (*oauth.Token, map[string]string) {
	var callback map[string]string
	code := ""
	if s.Authorization != nil {
		code, callback = s.consent(verifier)
	}
	before, issues := s.resolved.Metadata(s.Context(), &oauth.Token{}, callback, nil)
	s.expect("exchange", &s.Exchange)
	c := s.client(before)
	var token *oauth.Token
	var err error
	if s.Authorization == nil {
		token, err = oauth.ClientCredentials{}.Token(s.Context(), c, nil)
	} else {
		token, err = c.Exchange(s.Context(), oauth.NewSecret(code), oauth.NewSecret(verifier))
	}
	if !s.answered(err) {
		return nil, nil
	}
	s.what = "exchange"
	metadata, more := s.resolved.Metadata(s.Context(), token, callback, before)
	if issues = slices.Concat(issues, token.Issues, more); len(issues) > 0 {
		s.Errorf("exchange: %v", issues)
	}
	s.check("exchange.want", s.Exchange.Want, token)
	if w := s.Exchange.Want; w != nil {
		for _, name := range slices.Sorted(maps.Keys(w.Metadata)) {
			if metadata[name] != w.Metadata[name] {
				s.Errorf("exchange.want.metadata.%s: got %q, want %q", name, metadata[name], w.Metadata[name])
			}
		}
		account, err := s.resolved.Account(s.Context(), token, callback)
		if w.Account != nil && (account != *w.Account || err != nil) {
			s.Errorf("exchange.want.account: got %q, %v, want %q", account, err, *w.Account)
		}
	}
	return token, metadata
}

// consent checks the address that a person is sent to and reads the redirect back.
func (s *stage) consent(verifier string) (string, map[string]string) {
	const state = "the-state"
	address, err := url.Parse(s.resolved.AuthorizationURL(state, verifier, "the-nonce"))
	if err != nil {
		s.Fatal(err)
	}
	query := flat(address.Query())
	expected, err := url.Parse(s.Authorization.Address)
	if err != nil {
		s.Fatalf("authorization.address: %v", err)
	}
	if address.Host != expected.Host || address.Path != expected.Path {
		s.Errorf("authorization.address: got %s, want %s", address.Host+address.Path, expected.Host+expected.Path)
	}
	s.what = "authorization"
	for name, value := range flat(expected.Query()) {
		s.parameters("address", map[string]string{name: value}, query)
	}
	s.parameters("query", s.Authorization.Query, query)
	if query["state"] != state || (query["code_challenge"] != "") != s.resolved.PKCE {
		s.Errorf("authorization: state or code_challenge is missing in %s", address)
	}
	values := url.Values{"state": {state}}
	for name, value := range s.Callback {
		values.Set(name, value)
	}
	parsed, ok := oauth.ParseResponse(values, s.resolved.Dialect.Code)
	if !ok || parsed.Code.IsZero() {
		s.Fatalf("callback: no code can be read from it; is spec.authorizationResponse.code the right name?")
	}
	return parsed.Code.Reveal(), parsed.Parameters
}

func (s *stage) renew(token *oauth.Token, metadata map[string]string) *oauth.Token {
	if s.Refresh == nil {
		if !token.RefreshToken.IsZero() {
			s.Error("refresh: it is missing, and the exchange gave a refresh token")
		}
		return token
	}
	s.expect("refresh", s.Refresh)
	renewed, err := s.client(metadata).Refresh(s.Context(), token)
	if !s.answered(err) {
		return token
	}
	if _, issues := s.resolved.Metadata(s.Context(), renewed, nil, metadata); len(issues)+len(renewed.Issues) > 0 {
		s.Errorf("refresh: %v", slices.Concat(renewed.Issues, issues))
	}
	s.check("refresh.want", s.Refresh.Want, renewed)
	return renewed
}

func (s *stage) refusal(what string, refused *scene, token *oauth.Token, metadata map[string]string, verifier string) {
	s.expect(what, refused)
	c := s.client(metadata)
	var err error
	switch {
	case s.Authorization == nil:
		_, err = oauth.ClientCredentials{}.Token(s.Context(), c, nil)
	case token.RefreshToken.IsZero():
		_, err = c.Exchange(s.Context(), oauth.NewSecret("another-code"), oauth.NewSecret(verifier))
	default:
		_, err = c.Refresh(s.Context(), token)
	}
	s.answered(nil)
	var failed *oauth.Error
	if !errors.As(err, &failed) || refused.Want == nil {
		s.Errorf("%s: got %v, want a refusal with kind and code", what, err)
		return
	}
	code := ""
	if refused.Want.Code != nil {
		code = *refused.Want.Code
	}
	if failed.Kind.String() != refused.Want.Kind || failed.Code != code {
		s.Errorf("%s.want: got kind %s and code %q, want %s and %q", what, failed.Kind, failed.Code, refused.Want.Kind, code)
	}
}

// check compares what the file says of a token.
func (s *stage) check(what string, w *want, token *oauth.Token) {
	if w == nil {
		s.Errorf("%s: it is missing", what)
		return
	}
	texts := func(name string, expected *string, got string) {
		if expected != nil && got != *expected {
			s.Errorf("%s.%s: got %q, want %q", what, name, got, *expected)
		}
	}
	texts("accessToken", w.AccessToken, token.AccessToken.Reveal())
	texts("refreshToken", w.RefreshToken, token.RefreshToken.Reveal())
	texts("tokenType", w.TokenType, token.TokenType)
	seconds := func(name string, expected *int64, end time.Time) {
		got := int64(0)
		if !end.IsZero() {
			got = int64(end.Sub(token.Obtained).Seconds())
		}
		if expected != nil && got != *expected {
			s.Errorf("%s.%s: got %d, want %d", what, name, got, *expected)
		}
	}
	seconds("expiresIn", w.ExpiresIn, token.Expiry)
	seconds("refreshTokenExpiresIn", w.RefreshTokenExpiresIn, token.RefreshTokenExpiry)
	if w.Scopes != nil && !slices.Equal(w.Scopes, token.Scopes) {
		s.Errorf("%s.scopes: got %q, want %q", what, token.Scopes, w.Scopes)
	}
}
