// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// wording is how a provider wants a request. Requests are made as the RFCs write them and translated on
// their way out; the zero wording leaves them as they are.
type wording struct {
	// method is POST where it is empty. GET has no body, and DELETE has one only in JSON.
	method  string
	json    bool
	headers map[string]string
	names   map[string]string
	// anonymous leaves out what identifies and authenticates the client.
	anonymous bool
}

// tokenWording is also that of the endpoints for which a Dialect has no rules of their own.
func (d *Dialect) tokenWording() wording {
	return wording{json: d.JSON, headers: d.Headers, names: d.TokenNames}
}

// translate rewrites a POST of a form.
func (w wording) translate(req *http.Request) error {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	params, err := url.ParseQuery(string(raw))
	if err != nil {
		return err
	}
	body, contentType := w.encode(rename(params, w.names))
	if w.method != "" {
		req.Method = w.method
	}
	if req.Method == http.MethodGet || req.Method == http.MethodDelete && !w.json {
		body = nil
	}
	req.Header.Set("Content-Type", contentType)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if len(body) == 0 { // some refuse the type of a body that is not there
		req.Header.Del("Content-Type")
		req.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
	}
	req.ContentLength = int64(len(body))
	for name, value := range w.headers {
		req.Header.Set(name, value)
	}
	req.Body, err = req.GetBody()
	return err
}

func (w wording) encode(params url.Values) (body []byte, contentType string) {
	if !w.json || len(params) == 0 {
		return []byte(params.Encode()), "application/x-www-form-urlencoded"
	}
	texts := make(map[string]string, len(params))
	for name := range params {
		texts[name] = params.Get(name)
	}
	body, _ = json.Marshal(texts) // texts can always be marshalled
	return body, "application/json"
}

// rename returns parameters under the provider's names. What the protocol sets wins over what already
// has such a name.
func rename(params url.Values, names map[string]string) url.Values {
	renamed := make(url.Values, len(params))
	for name, value := range params {
		if _, other := names[name]; !other {
			renamed[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if value, sent := params[name]; sent && names[name] != "" {
			renamed[names[name]] = value
		}
	}
	return renamed
}
