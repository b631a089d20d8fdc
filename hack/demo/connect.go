// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// patience bounds what the operator or the provider does by itself.
const patience = 30 * time.Second

func (d *demo) seeWhatIsMissing(ctx context.Context) error {
	if err := d.awaitWord(ctx); err != nil {
		return err
	}
	if err := d.terminal.show(ctx, "kubectl wait --for=condition=Ready oauthconnection/robot --timeout=30s"); err != nil {
		return err
	}
	if err := d.terminal.show(ctx, "kubectl get oac"); err != nil {
		return err
	}
	d.story.tell("robot is Ready: a program's account needs nobody. alice needs a person, and says the next command:")
	message, err := d.terminal.ask(ctx, `kubectl get oac alice -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'`)
	if err != nil {
		return err
	}
	d.story.output(message)
	_, d.connect, _ = strings.Cut(message, "; ")
	if !strings.HasPrefix(d.connect, "kubectl oauth connect alice") {
		return errors.New("the condition's message does not name the command")
	}
	return nil
}

// awaitWord gives the operator the moment it needs to look at what was applied.
func (d *demo) awaitWord(ctx context.Context) error {
	var ready *metav1.Condition
	asked := func(ctx context.Context) (bool, error) {
		alice, err := d.alice(ctx)
		ready = meta.FindStatusCondition(alice.Status.Conditions, v1alpha1.ReadyCondition)
		return ready != nil && ready.Reason == v1alpha1.ReasonAuthorizationRequired, err
	}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, asked)
	switch {
	case err == nil:
		return nil
	case ready == nil:
		return fmt.Errorf("the operator did not look at connection alice: %w", err)
	}
	return fmt.Errorf("connection alice asks for no person: %s: %s", ready.Reason, ready.Message)
}

func (d *demo) seeWhoMayConnect(ctx context.Context) error {
	d.story.tell("Who may is Kubernetes' RBAC. victor may view this namespace, and alice may edit it:")
	if err := d.terminal.showRefusal(ctx, d.connect+" --context victor"); err != nil {
		return err
	}
	return d.nothingWasStarted()
}

// nothingWasStarted asks the provider, which has seen robot's client only.
func (d *demo) nothingWasStarted() error {
	for _, r := range d.provider.Requests(idp.Token) {
		if r.GrantType != "client_credentials" {
			return errors.New("the provider was asked for a token by somebody who may not connect")
		}
	}
	if d.provider.Count(idp.Authorize) > 0 {
		return errors.New("somebody who may not connect got to the provider")
	}
	return nil
}

// connectAnAccount does what a person does: it reads pages, fills in forms and presses buttons.
func (d *demo) connectAnAccount(ctx context.Context) (err error) {
	if d.plugin, err = d.terminal.start(ctx, d.connect+" --context alice --no-browser"); err != nil {
		return err
	}
	d.atTheEnd(func() error { d.plugin.Kill(); return nil })
	printing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address, err := d.plugin.Address(printing)
	if err != nil {
		return err
	}
	d.story.output(withoutState(address))
	d.story.tell("alice's browser opens it. It meets kubectl oauth on alice's machine, and comes back paired:")
	page, err := (&idp.Browser{}).Open(ctx, address)
	if err != nil {
		return err
	}
	d.see(page)
	if err := d.seeAnotherBrowserFail(ctx, address); err != nil {
		return err
	}
	d.story.tell("alice reads the page and goes on, with cookies, forms and redirects as in every browser:")
	if err := d.consent(ctx, page); err != nil {
		return err
	}
	return d.seeItConnected(ctx, address)
}

func (d *demo) seeAnotherBrowserFail(ctx context.Context, address string) error {
	d.story.tell("Somebody else has seen the address. In another browser it leads nowhere:")
	page, err := (&idp.Browser{}).Open(ctx, address)
	if err != nil {
		return err
	}
	d.see(page)
	if page.Status < http.StatusBadRequest {
		return errors.New("another browser was let in")
	}
	return d.nothingWasStarted()
}

// consent walks from page to page until there is nothing left to press.
func (d *demo) consent(ctx context.Context, page *idp.Page) (err error) {
	for len(page.Forms) > 0 {
		if page, err = d.fillIn(ctx, page); err != nil {
			return err
		}
		d.see(page)
		if page.Status != http.StatusOK {
			return fmt.Errorf("%s%s answered %d", page.URL.Host, page.URL.Path, page.Status)
		}
	}
	return nil
}

func (d *demo) seeItConnected(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code, err := d.plugin.Wait(ctx)
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(d.plugin.Output(), address)
	d.story.tell("kubectl oauth has followed it all:")
	d.story.output(strings.TrimSpace(after))
	if code != 0 {
		return fmt.Errorf("kubectl oauth ended with code %d", code)
	}
	return nil
}

// see prints where a browser is, and what the page says.
func (d *demo) see(page *idp.Page) {
	d.story.fact("%s%s   “%s”", page.URL.Host, page.URL.Path, title(page))
}

// withoutState cuts off what an address is good by: it is short-lived, but not for logs.
func withoutState(address string) string {
	start, _, found := strings.Cut(address, "?state=")
	if !found {
		return address
	}
	return start + "?state=…"
}

// fillIn signs in where a password is asked for, approves where that is asked, and else goes on.
func (d *demo) fillIn(ctx context.Context, page *idp.Page) (*idp.Page, error) {
	form := page.Forms[0]
	if form.Fields.Has("password") {
		who := person()
		d.story.fact("   signs in as %s", who.Name)
		return page.Submit(ctx, "", url.Values{"username": {who.Name}, "password": {who.Password}})
	}
	if len(form.Buttons) == 0 {
		return page.Submit(ctx, "", nil)
	}
	button := form.Buttons[0]
	for _, b := range form.Buttons {
		if b.Value == "approve" {
			button = b
		}
	}
	d.story.fact("   presses “%s”", button.Text)
	return page.Submit(ctx, button.Text, nil)
}

var titleTag = regexp.MustCompile(`(?s)<title>(.*?)</title>`)

func title(page *idp.Page) string {
	match := titleTag.FindStringSubmatch(page.Body)
	if match == nil {
		return "a page without a title"
	}
	return html.UnescapeString(strings.TrimSpace(match[1]))
}
