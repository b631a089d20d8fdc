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
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/idp"
)

// patience bounds what the operator or the provider does by itself.
const patience = 30 * time.Second

func (d *demo) seeWhatIsMissing(ctx context.Context) error {
	if err := d.awaitStartAddress(ctx); err != nil {
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
	_, command, found := strings.Cut(message, "prints: ")
	if !found || !strings.HasPrefix(command, "kubectl ") {
		return errors.New("the condition's message names no kubectl command")
	}
	if d.start, err = d.terminal.ask(ctx, command); err != nil {
		return err
	}
	d.story.output(shortened(d.start))
	return nil
}

// awaitStartAddress gives the operator the moment it needs to look at what was applied.
func (d *demo) awaitStartAddress(ctx context.Context) error {
	var alice *v1alpha1.OAuthConnection
	there := func(ctx context.Context) (_ bool, err error) {
		alice, err = d.alice(ctx)
		d.start = alice.Status.AuthorizationURL
		return d.start != "", err
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, there); err != nil {
		ready := meta.FindStatusCondition(alice.Status.Conditions, v1alpha1.ReadyCondition)
		if ready == nil {
			return fmt.Errorf("the operator did not look at connection alice: %w", err)
		}
		return fmt.Errorf("connection alice asks for no person: %s: %s", ready.Reason, ready.Message)
	}
	return nil
}

// shortened cuts the ticket off an address that may be printed: it is short-lived, but not for logs.
func shortened(address string) string {
	const shown = 8
	start, ticket, found := strings.Cut(address, "ticket=")
	if !found || len(ticket) <= shown {
		return address
	}
	return start + "ticket=" + ticket[:shown] + "…"
}

// consentInABrowser does what a person does: it reads pages, fills in forms and presses buttons.
func (d *demo) consentInABrowser(ctx context.Context) error {
	d.story.tell("A browser follows the pages, with cookies, forms and redirects, as a person's would:")
	browser := &idp.Browser{}
	page, err := browser.Open(ctx, d.start)
	for err == nil {
		d.story.fact("%s%s   “%s”", page.URL.Host, page.URL.Path, title(page))
		if page.Status != http.StatusOK {
			return fmt.Errorf("%s%s answered %d", page.URL.Host, page.URL.Path, page.Status)
		}
		if len(page.Forms) == 0 {
			break
		}
		page, err = d.fillIn(ctx, page)
	}
	if err != nil {
		return err
	}
	return d.terminal.show(ctx, "kubectl wait --for=condition=Ready oauthconnection/alice --timeout=30s")
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
