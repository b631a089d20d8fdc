// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

const authorizationRename, tokenRename = "authorizationRequest.rename", "tokenRequest.rename"

// renaming is one rename of a description, and the protocol's parameters that may meet in one request
// under it.
type renaming struct {
	field string
	names v1alpha1.ParamNames
	sent  [][]string
}

// renamings lists those that a description has.
func renamings(spec *v1alpha1.ProviderSpec) (all []renaming) {
	words := strings.Fields
	if r := spec.AuthorizationRequest; r != nil {
		all = append(all, renaming{authorizationRename, r.Rename, [][]string{
			words("response_type client_id redirect_uri state scope nonce code_challenge code_challenge_method request_uri"),
		}})
	}
	if r := spec.TokenRequest; r != nil {
		client := words("grant_type client_id client_secret client_assertion client_assertion_type")
		all = append(all, renaming{tokenRename, r.Rename, [][]string{
			slices.Concat(client, words("code redirect_uri code_verifier")),
			slices.Concat(client, words("refresh_token redirect_uri scope")),
			slices.Concat(client, words("device_code")),
			slices.Concat(client, words("assertion scope")),
			slices.Concat(client, words("subject_token subject_token_type requested_token_type scope")),
		}})
	}
	if r := spec.RevocationRequest; r != nil {
		all = append(all, renaming{"revocationRequest.rename", r.Rename, [][]string{
			words("token token_type_hint client_id client_secret client_assertion client_assertion_type"),
		}})
	}
	return all
}

// checkRequests holds what a description says of requests to what a request can be.
func checkRequests(spec *v1alpha1.ProviderSpec, at origin) error {
	if err := checkProtections(spec, at); err != nil {
		return err
	}
	for _, r := range renamings(spec) {
		if err := r.check(at); err != nil {
			return err
		}
	}
	if r := spec.TokenRequest; r != nil {
		if err := checkHeaders("tokenRequest.headers", r.Headers, at); err != nil {
			return err
		}
	}
	if r := spec.RevocationRequest; r != nil {
		return checkHeaders("revocationRequest.headers", r.Headers, at)
	}
	return nil
}

// checkProtections refuses what would switch a protection off without saying so.
func checkProtections(spec *v1alpha1.ProviderSpec, at origin) error {
	if r := spec.AuthorizationRequest; r != nil {
		if _, renamed := r.Rename["state"]; renamed {
			return at.errorf(v1alpha1.ReasonProviderInvalid, authorizationRename,
				"state has to come back under its own name, or no response can be told from a forged one; leave it as it is")
		}
	}
	if spec.PKCE == none {
		return nil
	}
	dropped := func(field string, names v1alpha1.ParamNames) error {
		for _, name := range []string{"code_challenge", "code_challenge_method", "code_verifier"} {
			if as, renamed := names[name]; renamed && as == "" {
				return at.errorf(v1alpha1.ReasonProviderInvalid, field, "without %s there is no PKCE; set pkce: None instead", name)
			}
		}
		return nil
	}
	if r := spec.AuthorizationRequest; r != nil {
		if err := dropped(authorizationRename, r.Rename); err != nil {
			return err
		}
	}
	if r := spec.TokenRequest; r != nil {
		return dropped(tokenRename, r.Rename)
	}
	return nil
}

// check refuses what would put two parameters of a request in one place: one of them would be lost without a
// word. What is no parameter of the protocol, an extra one, may be in any request.
func (r renaming) check(at origin) error {
	for _, name := range slices.Sorted(maps.Keys(r.names)) {
		as := r.names[name]
		if as == "" || as == name {
			continue
		}
		refuse := func(format string) error {
			return at.errorf(v1alpha1.ReasonProviderInvalid, r.field, format, printable(name, maxShown), printable(as, maxShown))
		}
		for _, other := range slices.Sorted(maps.Keys(r.names)) {
			if other != name && r.names[other] == as && r.meet(name, other) {
				return refuse("%s would be sent as %s, and so would another parameter; give each a name of its own")
			}
		}
		if _, moved := r.names[as]; !moved && r.protocols(as) && r.meet(name, as) {
			return refuse("%s would be sent as %[2]s, which is another parameter of the protocol; choose another name")
		}
	}
	return nil
}

func (r renaming) protocols(name string) bool {
	return slices.ContainsFunc(r.sent, func(request []string) bool { return slices.Contains(request, name) })
}

// meet says whether one request may have both.
func (r renaming) meet(a, b string) bool {
	return slices.ContainsFunc(r.sent, func(request []string) bool {
		return (!r.protocols(a) || slices.Contains(request, a)) && (!r.protocols(b) || slices.Contains(request, b))
	})
}

// checkHeaders refuses those that authenticate the client or frame the body, and what is no header at all:
// net/http would send nothing, and call it a failed connection.
func checkHeaders(field string, headers v1alpha1.RequestHeaders, at origin) error {
	own := strings.Fields("Authorization Proxy-Authorization Host Connection Content-Type Content-Length Content-Encoding " +
		"Transfer-Encoding Accept-Encoding Trailer Te Upgrade Expect")
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch {
		case !plain(name, "!#$%&'*+-.^_`|~"):
			return at.errorf(v1alpha1.ReasonProviderInvalid, field, "%q is no name of a header; it has letters, digits and dashes", printable(name, maxShown))
		case slices.Contains(own, textproto.CanonicalMIMEHeaderKey(name)):
			return at.errorf(v1alpha1.ReasonProviderInvalid, field, "%s is set by the operator; remove it (how clients authenticate is clientAuthentication, the body's format is format)", name)
		case strings.ContainsFunc(headers[name], control):
			return at.errorf(v1alpha1.ReasonProviderInvalid, field, "the value of %s has a character that no header can have, such as a line break; remove it", name)
		}
	}
	return nil
}
