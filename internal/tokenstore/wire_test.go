// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// full has a value in every field that is stored.
func full() *Record {
	r := consented("auth", 1)
	r.Token.RefreshTokenExpiry, r.Token.Extended = noon.Add(24*time.Hour), true
	r.Previous, r.Refreshes, r.Ended = oauth.NewSecret("sentinel-previous"), 7, "invalid_grant"
	r.Request, r.EndedCode, r.Seed = "request", "invalid_grant", "hash"
	r.Metadata = map[string]string{"realmId": "123"}
	r.Issues, r.IDTokenCause, r.Introspected = []string{"tokenResponse.scope gave a number"}, "audience", true
	r.Intent = &Intent{Attempt: "1", Holder: "a", Deadline: noon, RefreshTokenHash: "h"}
	r.Failure = &Failure{
		Count: 3, Kind: oauth.Throttled, Code: "slow_down", Status: 429, At: noon, Since: noon.Add(-time.Hour),
		RetryAt: noon.Add(time.Minute), Generation: 5, Revision: "42", NotBefore: noon.Add(time.Second),
	}
	r.Doubt, r.Spec = &Doubt{Since: noon, Cause: DoubtUnanswered}, []byte(`{"grant":"DeviceCode"}`)
	return r
}

func TestARecordIsDecodedAsItWasEncoded(t *testing.T) {
	for name, want := range map[string]*Record{"full": full(), "empty": {}, "a failure of no known kind": {Failure: &Failure{}}} {
		encoded, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestFractionsOfSecondsAndTimeZonesSurviveAsInstants(t *testing.T) {
	local := time.FixedZone("there", 3600)
	r := &Record{Token: oauth.Token{Obtained: noon.Add(123456789 * time.Nanosecond).In(local)}}
	encoded, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(encoded)
	if err != nil || !got.Token.Obtained.Equal(r.Token.Obtained) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatBelongsToOneAnswerOnlyIsNotStored(t *testing.T) {
	r := full()
	r.Token.IDToken, r.Token.Body = oauth.NewSecret("sentinel-id"), map[string]any{"x": "sentinel-body"}
	r.Interrupted = &Intent{Holder: "sentinel-holder"}
	encoded, err := encode(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, sentinel := range []string{"sentinel-id", "sentinel-body", "sentinel-holder", "redacted"} {
		if bytes.Contains(encoded, []byte(sentinel)) {
			t.Errorf("%s is stored", sentinel)
		}
	}
}

func TestUnknownFormsAreRefusedWithoutBeingQuoted(t *testing.T) {
	for _, encoded := range []string{"", "{}", "sentinel", `{"v":3,"token":{"access":"sentinel"}}`, `{"v":0}`, `{"v":1,"token":"sentinel"}`, `{"v":"sentinel"}`} {
		if _, err := decode([]byte(encoded)); err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%q: %v", encoded, err)
		}
	}
}

// An operator of before the provider's metadata wrote this.
const older = `{"v":1,"fp":"f","grant":"AuthorizationCode","token":{"access":"a","refresh":"r","type":"Bearer",` +
	`"at":"2030-01-01T12:00:00Z","exp":"2030-01-01T13:00:00Z","scopes":["repo"]},"account":"octocat",` +
	`"asked":["repo"],"authAt":"2030-01-01T12:00:00Z","auth":"uid","n":3,"ended":"refused"}`

func TestARecordOfAnOlderOperatorIsReadAndKeptReadableToIt(t *testing.T) {
	r, err := decode([]byte(older))
	if err != nil {
		t.Fatal(err)
	}
	if r.Account != "octocat" || r.Token.RefreshToken.Reveal() != "r" || r.Refreshes != 3 || r.Ended != "refused" {
		t.Errorf("got %+v", r)
	}
	r.Issues, r.Introspected, r.Doubt, r.Spec = []string{"an issue"}, true, &Doubt{Cause: DoubtRestored}, []byte("{}")
	for what, change := range map[string]struct {
		make func(*Record)
		want string
	}{
		"what the older one can do without": {func(*Record) {}, `{"v":1,`},
		"metadata":                          {func(r *Record) { r.Metadata = map[string]string{"a": "b"} }, `{"v":2,`},
		"a seed":                            {func(r *Record) { r.Seed = "hash" }, `{"v":2,`},
	} {
		next := r.clone()
		change.make(next)
		encoded, err := encode(next)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(encoded, []byte(change.want)) {
			t.Errorf("%s: got %.10s, want %s", what, encoded, change.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	encoded, err := encode(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded)
	f.Add([]byte(`{"v":1,"failure":{},"intent":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		same, err := decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(r, same); d != "" {
			t.Error(d)
		}
	})
}

// A record that no Secret can hold would be tried for ever, and kept in memory meanwhile.
func TestTheLargestRecordFitsIntoASecret(t *testing.T) {
	r := full()
	longest := oauth.NewSecret(strings.Repeat("\x01", oauth.MaxToken)) // six bytes each in JSON
	r.Token.AccessToken, r.Token.RefreshToken, r.Previous = longest, longest, longest
	r.Token.Scopes, r.RequestedScopes, r.Metadata, r.Issues = nil, nil, map[string]string{}, nil
	many := strings.Repeat("<", 254) // as many here
	for i := range 64 + 32 {
		scope := fmt.Sprintf("%02d", i) + many
		if i < 64 {
			r.Token.Scopes = append(r.Token.Scopes, scope)
		}
		r.RequestedScopes = append(r.RequestedScopes, scope)
	}
	for i := range 16 + 4 { // a preset has some as well
		r.Metadata[fmt.Sprintf("%063d", i)] = strings.Repeat(`\`, 1024)
		r.Issues = append(r.Issues, strings.Repeat("i", 256), strings.Repeat("i", 256))
	}
	r.Account = strings.Repeat("<", 256)
	r.EndedCode, r.Failure.Code = r.Account, r.Account // the words of a rule
	r.Spec = bytes.Repeat([]byte("<"), 64<<10)         // provider.Keep keeps no more
	const sealing = 4 << 10
	if encoded, err := encode(r); err != nil || len(encoded)+sealing > 1<<20 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
}
