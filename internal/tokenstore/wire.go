// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/oauth-operator/oauth-operator/internal/oauth"
)

// A version is written into every record. A reader refuses versions it does not know: writing such a
// record back would drop what it did not understand. So a record carries the lowest version whose
// readers lose nothing that cannot be had again, and a former operator still reads all that it could
// have written itself.
const (
	wireVersion = 1
	// wireLearnt: Metadata, of which endpoints are made, and Seed, which is not to be planted twice.
	wireLearnt = 2
)

// ErrUnknownForm says that another version of the operator wrote the record. It has no cause: a
// parser's message may quote the record.
var ErrUnknownForm = errors.New("the record is not of a form that this version of the operator knows")

// wire is a record's stored form, before it is sealed. It is the only place where tokens leave
// oauth.Secret to be kept.
type wire struct {
	Version         int               `json:"v"`
	Fingerprint     string            `json:"fp,omitzero"`
	Grant           string            `json:"grant,omitzero"`
	Token           wireToken         `json:"token,omitzero"`
	Previous        string            `json:"prev,omitzero"`
	Account         string            `json:"account,omitzero"`
	RequestedScopes []string          `json:"asked,omitempty"`
	AuthorizedAt    time.Time         `json:"authAt,omitzero"`
	Authorization   types.UID         `json:"auth,omitzero"`
	Refreshes       int64             `json:"n,omitzero"`
	Request         string            `json:"req,omitzero"`
	Ended           string            `json:"ended,omitzero"`
	EndedCode       string            `json:"endedCode,omitzero"`
	Seed            string            `json:"seed,omitzero"`
	Metadata        map[string]string `json:"meta,omitempty"`
	Issues          []string          `json:"issues,omitempty"`
	IDTokenCause    string            `json:"idToken,omitzero"`
	Introspected    bool              `json:"introspected,omitzero"`
	Failure         *wireFailure      `json:"failure,omitempty"`
	Doubt           *wireDoubt        `json:"doubt,omitempty"`
	Spec            []byte            `json:"spec,omitempty"`
	Intent          *wireIntent       `json:"intent,omitempty"`
}

type wireToken struct {
	Access        string    `json:"access,omitzero"`
	Refresh       string    `json:"refresh,omitzero"`
	Type          string    `json:"type,omitzero"`
	Obtained      time.Time `json:"at,omitzero"`
	Expiry        time.Time `json:"exp,omitzero"`
	RefreshExpiry time.Time `json:"refreshExp,omitzero"`
	Extended      bool      `json:"ext,omitzero"`
	Scopes        []string  `json:"scopes,omitempty"`
}

type wireIntent struct {
	Attempt          string    `json:"id"`
	Holder           string    `json:"holder"`
	Deadline         time.Time `json:"deadline"`
	RefreshTokenHash string    `json:"hash,omitzero"`
}

func toWire(i *Intent) *wireIntent {
	if i == nil {
		return nil
	}
	return &wireIntent{i.Attempt, i.Holder, i.Deadline.UTC(), i.RefreshTokenHash}
}

func (w *wireIntent) intent() *Intent {
	if w == nil {
		return nil
	}
	return &Intent{w.Attempt, w.Holder, w.Deadline, w.RefreshTokenHash}
}

type wireFailure struct {
	Count      int32      `json:"n"`
	Kind       oauth.Kind `json:"kind"`
	Code       string     `json:"code,omitzero"`
	Status     int        `json:"status,omitzero"`
	At         time.Time  `json:"at,omitzero"`
	Since      time.Time  `json:"since,omitzero"`
	RetryAt    time.Time  `json:"retry,omitzero"`
	Generation int64      `json:"gen,omitzero"`
	Revision   string     `json:"rev,omitzero"`
	NotBefore  time.Time  `json:"notBefore,omitzero"`
}

type wireDoubt struct {
	Since time.Time `json:"since,omitzero"`
	Cause string    `json:"cause"`
}

// version is the lowest that holds all of a record that matters.
func (r *Record) version() int {
	if len(r.Metadata) > 0 || r.Seed != "" {
		return wireLearnt
	}
	return wireVersion
}

// encode returns the stored form of a record, in the clear.
func encode(r *Record) ([]byte, error) {
	w := wire{
		Version:     r.version(),
		Fingerprint: r.Fingerprint,
		Grant:       r.Grant,
		Token: wireToken{
			Access:        r.Token.AccessToken.Reveal(),
			Refresh:       r.Token.RefreshToken.Reveal(),
			Type:          r.Token.TokenType,
			Obtained:      r.Token.Obtained.UTC(),
			Expiry:        r.Token.Expiry.UTC(),
			RefreshExpiry: r.Token.RefreshTokenExpiry.UTC(),
			Extended:      r.Token.Extended,
			Scopes:        r.Token.Scopes,
		},
		Previous:        r.Previous.Reveal(),
		Account:         r.Account,
		RequestedScopes: r.RequestedScopes,
		AuthorizedAt:    r.AuthorizedAt.UTC(),
		Authorization:   r.Authorization,
		Refreshes:       r.Refreshes,
		Request:         r.Request,
		Ended:           r.Ended,
		EndedCode:       r.EndedCode,
		Seed:            r.Seed,
		Metadata:        r.Metadata,
		Issues:          r.Issues,
		IDTokenCause:    r.IDTokenCause,
		Introspected:    r.Introspected,
		Spec:            r.Spec,
		Intent:          toWire(r.Intent),
	}
	if f := r.Failure; f != nil {
		w.Failure = &wireFailure{
			f.Count, f.Kind, f.Code, f.Status, f.At.UTC(), f.Since.UTC(), f.RetryAt.UTC(), f.Generation, f.Revision, f.NotBefore.UTC(),
		}
	}
	if d := r.Doubt; d != nil {
		w.Doubt = &wireDoubt{d.Since.UTC(), d.Cause}
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // no browser reads it, and six bytes for one would make it too large for a Secret
	if err := encoder.Encode(w); err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return encoded.Bytes(), nil
}

// decode reads what encode wrote.
func decode(encoded []byte) (*Record, error) {
	var w wire
	if err := json.Unmarshal(encoded, &w); err != nil || w.Version < wireVersion || w.Version > wireLearnt {
		return nil, ErrUnknownForm
	}
	r := &Record{
		Fingerprint: w.Fingerprint,
		Grant:       w.Grant,
		Token: oauth.Token{
			AccessToken:        oauth.NewSecret(w.Token.Access),
			RefreshToken:       oauth.NewSecret(w.Token.Refresh),
			TokenType:          w.Token.Type,
			Obtained:           w.Token.Obtained,
			Expiry:             w.Token.Expiry,
			RefreshTokenExpiry: w.Token.RefreshExpiry,
			Extended:           w.Token.Extended,
			Scopes:             w.Token.Scopes,
		},
		Previous:        oauth.NewSecret(w.Previous),
		Account:         w.Account,
		RequestedScopes: w.RequestedScopes,
		AuthorizedAt:    w.AuthorizedAt,
		Authorization:   w.Authorization,
		Refreshes:       w.Refreshes,
		Request:         w.Request,
		Ended:           w.Ended,
		EndedCode:       w.EndedCode,
		Seed:            w.Seed,
		Metadata:        w.Metadata,
		Issues:          w.Issues,
		IDTokenCause:    w.IDTokenCause,
		Introspected:    w.Introspected,
		Spec:            w.Spec,
		Intent:          w.Intent.intent(),
	}
	if f := w.Failure; f != nil {
		r.Failure = &Failure{
			Count: f.Count, Kind: f.Kind, Code: f.Code, Status: f.Status,
			At: f.At, Since: f.Since, RetryAt: f.RetryAt, Generation: f.Generation, Revision: f.Revision, NotBefore: f.NotBefore,
		}
	}
	if d := w.Doubt; d != nil {
		r.Doubt = &Doubt{d.Since, d.Cause}
	}
	return r, nil
}
