// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Page is what a browser shows at the end of all redirects.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	Forms  []Form

	browser *Browser
}

// Form is a form of a page.
type Form struct {
	Action  *url.URL
	Method  string
	Fields  url.Values // as filled in by the page
	Buttons []Button
}

// Button is one of a form's submit buttons.
type Button struct{ Name, Value, Text string }

func (b Button) is(label string) bool {
	return label == b.Text || label == b.Name && b.Name != "" || label == b.Value && b.Value != ""
}

func (f Form) has(label string) bool {
	for _, button := range f.Buttons {
		if button.is(label) {
			return true
		}
	}
	return false
}

// Submit presses the button with this text, name or value ("" for the first form's first), after
// values have been typed into the form's fields.
func (p *Page) Submit(ctx context.Context, button string, values url.Values) (*Page, error) {
	form, pressed, err := p.find(button)
	if err != nil {
		return nil, err
	}
	fields := url.Values{}
	for _, source := range []url.Values{form.Fields, values} {
		for name, value := range source {
			fields[name] = value
		}
	}
	if pressed.Name != "" {
		fields.Set(pressed.Name, pressed.Value)
	}
	target := *form.Action
	n := &navigation{method: form.Method, target: &target, from: p, site: "same-origin"}
	if form.Method == http.MethodPost {
		n.body = fields.Encode()
	} else {
		target.RawQuery = fields.Encode()
	}
	return p.browser.navigate(ctx, n)
}

func (p *Page) find(label string) (Form, Button, error) {
	var labels []string
	for _, form := range p.Forms {
		for _, button := range form.Buttons {
			if label == "" || button.is(label) {
				return form, button, nil
			}
			labels = append(labels, button.Text)
		}
		if label == "" {
			return form, Button{}, nil
		}
	}
	return Form{}, Button{}, fmt.Errorf("no button %q on %s (status %d), only %q", label, p.URL.Redacted(), p.Status, labels)
}

// originFor is the Origin header of a form posted to target: a page that sends no referrer does not
// tell its origin either (Fetch, "append a request Origin header").
func (p *Page) originFor(target *url.URL) string {
	policies := strings.Split(p.Header.Get("Referrer-Policy"), ",")
	switch strings.TrimSpace(policies[len(policies)-1]) {
	case "no-referrer":
		return "null"
	case "same-origin":
		if origin(p.URL) != origin(target) {
			return "null"
		}
	}
	return origin(p.URL)
}

// allowsFormTo applies form-action of the page's Content-Security-Policy.
func (p *Page) allowsFormTo(target *url.URL) bool {
	for _, policy := range p.Header.Values("Content-Security-Policy") {
		for directive := range strings.SplitSeq(policy, ";") {
			sources := strings.Fields(directive)
			if len(sources) > 0 && sources[0] == "form-action" && !p.matchesSource(sources[1:], target) {
				return false
			}
		}
	}
	return true
}

func (p *Page) matchesSource(sources []string, target *url.URL) bool {
	for _, source := range sources {
		switch source {
		case "*", target.Scheme + ":", origin(target):
			return true
		case "'self'":
			if origin(target) == origin(p.URL) {
				return true
			}
		}
	}
	return false
}

func parseForms(p *Page) ([]Form, error) {
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	var forms []Form
	for node := range root.Descendants() {
		if node.DataAtom != atom.Form {
			continue
		}
		action, err := p.URL.Parse(attribute(node, "action"))
		if err != nil {
			return nil, err
		}
		form := Form{Action: action, Method: http.MethodGet, Fields: url.Values{}}
		if strings.EqualFold(attribute(node, "method"), http.MethodPost) {
			form.Method = http.MethodPost
		}
		for control := range node.Descendants() {
			form.add(control)
		}
		forms = append(forms, form)
	}
	return forms, nil
}

func (f *Form) add(control *html.Node) {
	if control.DataAtom != atom.Input && control.DataAtom != atom.Button || has(control, "disabled") {
		return
	}
	name, value := attribute(control, "name"), attribute(control, "value")
	switch kind := strings.ToLower(attribute(control, "type")); {
	case control.DataAtom == atom.Button && (kind == "" || kind == "submit"):
		f.Buttons = append(f.Buttons, Button{Name: name, Value: value, Text: text(control)})
	case control.DataAtom == atom.Button:
	case kind == "submit":
		f.Buttons = append(f.Buttons, Button{Name: name, Value: value, Text: value})
	case (kind == "checkbox" || kind == "radio") && !has(control, "checked"):
	case name != "":
		f.Fields.Add(name, value)
	}
}

func attribute(node *html.Node, key string) string {
	for _, attribute := range node.Attr {
		if attribute.Key == key {
			return attribute.Val
		}
	}
	return ""
}

func has(node *html.Node, key string) bool {
	for _, attribute := range node.Attr {
		if attribute.Key == key {
			return true
		}
	}
	return false
}

func text(node *html.Node) string {
	var b strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
