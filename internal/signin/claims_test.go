// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

const issuer = "https://accounts.example.com"

func TestNamesFollowTheRulesOfTheAPIServer(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		claims string
		want   Identity
		kind   Kind
	}{
		"issuer before sub": {Config{}, `{"sub":"alice"}`, Identity{Username: issuer + "#alice"}, ""},
		"issuer before any claim": {Config{UsernameClaim: "preferred_username"}, `{"sub":"1","preferred_username":"alice"}`,
			Identity{Username: issuer + "#alice"}, ""},
		"nothing before email":   {Config{UsernameClaim: "email"}, `{"email":"a@b.c","email_verified":true}`, Identity{Username: "a@b.c"}, ""},
		"dash for nothing":       {Config{UsernamePrefix: "-"}, `{"sub":"alice"}`, Identity{Username: "alice"}, ""},
		"a prefix":               {Config{UsernamePrefix: "oidc:"}, `{"sub":"alice"}`, Identity{Username: "oidc:alice"}, ""},
		"a prefix before email":  {Config{UsernameClaim: "email", UsernamePrefix: "oidc:"}, `{"email":"a@b.c"}`, Identity{Username: "oidc:a@b.c"}, ""},
		"verified is not said":   {Config{UsernameClaim: "email"}, `{"email":"a@b.c"}`, Identity{Username: "a@b.c"}, ""},
		"not verified":           {Config{UsernameClaim: "email"}, `{"email":"a@b.c","email_verified":false}`, Identity{}, Refused},
		"verified as a text":     {Config{UsernameClaim: "email"}, `{"email":"a@b.c","email_verified":"true"}`, Identity{}, Refused},
		"verified as null":       {Config{UsernameClaim: "email"}, `{"email":"a@b.c","email_verified":null}`, Identity{}, Refused},
		"email of another claim": {Config{UsernameClaim: "upn"}, `{"upn":"a@b.c","email_verified":false}`, Identity{Username: issuer + "#a@b.c"}, ""},

		"no claim":           {Config{}, `{"name":"alice"}`, Identity{}, Refused},
		"empty":              {Config{}, `{"sub":""}`, Identity{}, Refused},
		"null":               {Config{}, `{"sub":null}`, Identity{}, Refused},
		"a number":           {Config{}, `{"sub":1}`, Identity{}, Refused},
		"a list":             {Config{}, `{"sub":["alice"]}`, Identity{}, Refused},
		"Kubernetes' own":    {Config{UsernamePrefix: "-"}, `{"sub":"system:kube-controller-manager"}`, Identity{}, Refused},
		"by the prefix":      {Config{UsernamePrefix: "sys"}, `{"sub":"tem:admin"}`, Identity{}, Refused},
		"another's own":      {Config{}, `{"sub":"system:admin"}`, Identity{Username: issuer + "#system:admin"}, ""},
		"too long":           {Config{}, `{"sub":"` + strings.Repeat("x", maxUsername) + `"}`, Identity{}, Refused},
		"a line end":         {Config{}, `{"sub":"alice\n"}`, Identity{}, Refused},
		"right to left":      {Config{}, `{"sub":"\u202eecila"}`, Identity{}, Refused},
		"letters everywhere": {Config{}, `{"sub":"Zoë Müller 李"}`, Identity{Username: issuer + "#Zoë Müller 李"}, ""},

		"groups are not asked for": {Config{}, `{"sub":"a","groups":["dev"]}`, Identity{Username: issuer + "#a"}, ""},
		"a list of groups": {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":["ops","dev","ops"]}`,
			Identity{issuer + "#a", []string{"dev", "ops"}}, ""},
		"one group":           {Config{GroupsClaim: "role"}, `{"sub":"a","role":"dev"}`, Identity{issuer + "#a", []string{"dev"}}, ""},
		"prefixed groups":     {Config{GroupsClaim: "groups", GroupsPrefix: "oidc:"}, `{"sub":"a","groups":["dev"]}`, Identity{issuer + "#a", []string{"oidc:dev"}}, ""},
		"a dash is a prefix":  {Config{GroupsClaim: "groups", GroupsPrefix: "-"}, `{"sub":"a","groups":["dev"]}`, Identity{issuer + "#a", []string{"-dev"}}, ""},
		"no groups":           {Config{GroupsClaim: "groups"}, `{"sub":"a"}`, Identity{Username: issuer + "#a"}, ""},
		"empty groups":        {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":["",""]}`, Identity{Username: issuer + "#a"}, ""},
		"null groups":         {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":null}`, Identity{Username: issuer + "#a"}, ""},
		"groups by number":    {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":[1]}`, Identity{}, Refused},
		"an object of groups": {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":{"dev":true}}`, Identity{}, Refused},
		"masters": {Config{GroupsClaim: "groups"}, `{"sub":"a","groups":["system:masters","dev","system:nodes"]}`,
			Identity{issuer + "#a", []string{"dev"}}, ""},
		"masters by the prefix": {Config{GroupsClaim: "groups", GroupsPrefix: "system"}, `{"sub":"a","groups":[":masters"]}`, Identity{Username: issuer + "#a"}, ""},
		"groups elsewhere": {Config{GroupsClaim: "groups"},
			`{"sub":"a","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example.com"}}}`, Identity{}, TooManyGroups},
		"others elsewhere": {Config{GroupsClaim: "groups"}, `{"sub":"a","_claim_names":{"age":"src1"}}`, Identity{Username: issuer + "#a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Issuer = issuer
			id, err := test.config.identity(parse(t, test.claims))
			if kindOf(err) != test.kind {
				t.Errorf("got %v, want the kind %q", err, test.kind)
			}
			if diff := cmp.Diff(test.want, id); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func parse(t *testing.T, text string) claims {
	t.Helper()
	var held claims
	if err := json.Unmarshal([]byte(text), &held); err != nil {
		t.Fatal(err)
	}
	return held
}

func FuzzIdentity(f *testing.F) {
	for _, text := range []string{
		`{"sub":"alice","groups":["dev"]}`, `{"email":"a@b.c","email_verified":true,"groups":"dev"}`,
		`{"sub":"system:admin","groups":["system:masters",null,""]}`, `{"sub":"\u202e","_claim_names":{"groups":"x"}}`,
	} {
		f.Add([]byte(text), "", "")
		f.Add([]byte(text), "-", "sys")
	}
	f.Fuzz(func(t *testing.T, payload []byte, usernamePrefix, groupsPrefix string) {
		var held claims
		if json.Unmarshal(payload, &held) != nil {
			return
		}
		for _, claim := range []string{"", "email"} {
			c := Config{Issuer: issuer, UsernameClaim: claim, UsernamePrefix: usernamePrefix, GroupsClaim: "groups", GroupsPrefix: groupsPrefix}
			id, err := c.identity(held)
			if err != nil {
				if kindOf(err) == "" || id.Username != "" {
					t.Errorf("%v, %v", id, err)
				}
				continue
			}
			unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
			if id.Username == "" || reserved(id.Username) || !strings.HasPrefix(id.Username, c.usernamePrefix()) || strings.ContainsFunc(id.Username, unprintable) {
				t.Errorf("the user %q", id.Username)
			}
			if slices.ContainsFunc(id.Groups, reserved) || slices.Contains(id.Groups, "") || !slices.IsSorted(id.Groups) {
				t.Errorf("the groups %q", id.Groups)
			}
		}
	})
}
