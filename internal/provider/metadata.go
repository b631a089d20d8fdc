// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

const (
	// maxMetadata bounds a value, in bytes.
	maxMetadata = 1024
	// maxPattern bounds a compiled pattern: they are compiled whenever a provider is looked at.
	maxPattern = 4096
)

// metadataRule is a compiled v1alpha1.MetadataRule.
type metadataRule struct {
	name    string
	value   *program
	pattern *regexp.Regexp // nil: any value, and no endpoint has it
}

func (x *expressions) metadataRules(rules []v1alpha1.MetadataRule, at origin) ([]metadataRule, error) {
	compiled := make([]metadataRule, 0, len(rules))
	for _, rule := range rules {
		field := "metadata[" + printable(rule.Name, maxShown) + "]"
		value, err := x.compile(ofMetadata, string(rule.Value), cel.StringType, cel.IntType, cel.UintType, cel.DoubleType)
		if err == nil && value == nil {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, at.errorf(v1alpha1.ReasonProviderInvalid, field+".value",
				"not a CEL expression over callback, body, headers, idToken and userInfo that gives a text or a number: %s", printable(err.Error(), maxShown))
		}
		c := metadataRule{name: rule.Name, value: value}
		if rule.Pattern != "" {
			if c.pattern, err = types.CompileRegexWithLimit("^(?:"+rule.Pattern+")$", maxPattern); err != nil {
				return nil, at.errorf(v1alpha1.ReasonProviderInvalid, field+".pattern", "not a regular expression of RE2 that can be used: %s", printable(err.Error(), maxShown))
			}
		}
		compiled = append(compiled, c)
	}
	return compiled, nil
}

// Metadata works out the values that the provider's description keeps: of the redirect's query, and of
// a token answer, which is empty before the exchange. What neither gives stays as held. The texts name
// the rules that gave something else than they should, in fixed words.
func (r *Resolved) Metadata(ctx context.Context, token *oauth.Token, callback, held map[string]string) (map[string]string, []string) {
	if len(r.rules) == 0 {
		return nil, nil
	}
	if token == nil {
		token = &oauth.Token{}
	}
	ask := sync.OnceValues(func() (map[string]any, error) {
		known, _ := r.metadata(ctx, r.facts(token, callback, nothing), held)
		return r.userInfo(ctx, token, known)
	})
	return r.metadata(ctx, r.facts(token, callback, func(context.Context) (map[string]any, error) { return ask() }), held)
}

func (r *Resolved) metadata(ctx context.Context, f *facts, held map[string]string) (map[string]string, []string) {
	values, issues := map[string]string{}, []string(nil)
	for _, rule := range r.rules {
		value, issue, err := f.eval(ctx, rule.value)
		text, ok := "", true
		switch {
		case err != nil:
			issue = "is not known: " + errUserInfo.Error()
		case issue == "" && value != nil:
			text, ok = metadataText(value)
		}
		switch {
		case !ok:
			issue = "gave " + kindOfValue(value) + " instead of a text or a number of at most 1024 printable characters"
		case text != "" && rule.pattern != nil && !rule.pattern.MatchString(text):
			text, issue = "", "gave a value that does not match its pattern"
		}
		if issue != "" {
			issues = append(issues, "metadata."+rule.name+" "+issue)
		}
		if text == "" {
			text = held[rule.name]
		}
		if text != "" {
			values[rule.name] = text
		}
	}
	return values, issues
}

func metadataText(value ref.Val) (string, bool) {
	switch v := value.(type) {
	case types.String:
		unprintable := strings.ContainsFunc(string(v), func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
		if len(v) > maxMetadata || unprintable {
			return "", false
		}
		return string(v), true
	case types.Int:
		return strconv.FormatInt(int64(v), 10), true
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), true
	case types.Double:
		return strconv.FormatFloat(float64(v), 'f', -1, 64), true
	}
	return "", false
}

const (
	// unusable takes the place of an address that cannot be made up: no request leaves for it.
	unusable      = ":"
	userInfoField = "endpoints.userInfo"
	refreshField  = "endpoints.refresh"
)

// For is the client with the endpoints filled in from metadata. The error is an *Error that names what
// the token endpoint lacks. An address that only later requests need, once a token answer has told what
// is missing, is left out.
func (r *Resolved) For(metadata map[string]string) (*oauth.Client, error) {
	c := r.Client
	fields := endpointFields(&v1alpha1.Endpoints{})
	for i, address := range addressesOf(&c.Endpoints) {
		filled, err := r.filled(fields[i].name, *address, metadata)
		switch {
		case err == nil:
			*address = filled
		case address == &c.Endpoints.Token:
			return nil, err
		case address == &c.Endpoints.Refresh: // not empty: that would be the token endpoint
			*address = unusable
		default:
			*address = ""
		}
	}
	if r.bind != nil {
		r.bind(&c)
	}
	return &c, nil
}

// Renewable is an *Error where the address of a refresh lacks metadata: For leaves such an address out.
func (r *Resolved) Renewable(metadata map[string]string) error {
	_, err := r.filled(refreshField, r.Endpoints.Refresh, metadata)
	return err
}

// addressesOf lists the addresses in the order of endpointFields.
func addressesOf(e *oauth.Endpoints) []*string {
	return []*string{
		&e.Authorization, &e.Token, &e.Refresh, &e.DeviceAuthorization, &e.PushedAuthorizationRequest,
		&e.Introspection, &e.Revocation, &e.UserInfo,
	}
}

// filled puts metadata into an address and checks it again.
func (r *Resolved) filled(field, address string, metadata map[string]string) (string, error) {
	template := address
	for _, rule := range r.rules {
		placeholder := "{" + rule.name + "}"
		if rule.pattern == nil || !strings.Contains(template, placeholder) {
			continue
		}
		value := metadata[rule.name]
		switch {
		case value == "":
			return "", r.at.errorf(v1alpha1.ReasonProviderInvalid, field,
				"it needs metadata %s, which the provider has not told; look at the expression metadata[%s].value", rule.name, rule.name)
		case !rule.pattern.MatchString(value), !plain(value, "._~:-"), strings.Contains(value, ".."):
			return "", r.at.errorf(v1alpha1.ReasonProviderInvalid, field,
				"metadata %s does not match its pattern or has characters that no address may take from a provider", rule.name)
		}
		address = strings.ReplaceAll(address, placeholder, value)
	}
	if address == template {
		return address, nil
	}
	return address, refused(r.policy, endpointField{name: field, dialled: true}, sampled(address), r.at)
}
