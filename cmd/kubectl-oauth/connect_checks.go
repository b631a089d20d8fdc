// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
)

// check finds out what would stop the person later, before anything is made.
func (c *connecting) check(ctx context.Context) error {
	conn, err := c.connection(ctx, c.name)
	if err != nil {
		return err
	}
	c.before = conn
	if err := c.connectable(); err != nil {
		return err
	}
	if err := c.permitted(ctx); err != nil {
		return err
	}
	return c.replaceable(ctx)
}

// connectable says whether a person can connect an account to the connection, this way.
func (c *connecting) connectable() error {
	conn := c.before
	switch {
	case conn.DeletionTimestamp != nil:
		return &problem{Text: fmt.Sprintf("OAuthConnection %s is being deleted", conn.Name), Hint: c.next("status")}
	case conn.Spec.Suspend:
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s is suspended: an account can be connected once that is lifted", conn.Name),
			Hint: resume(conn),
		}
	case !conn.Spec.Grant.NeedsPerson():
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s needs no person: its client acts for itself (grant %s)", conn.Name, clean(string(conn.Spec.Grant))),
			Hint: c.next("status"),
		}
	case c.device() && (c.options.Code || c.options.Port != 0):
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s has grant DeviceCode: the code is typed in at the provider, in any browser, so --code and --port have nothing to do", conn.Name),
			Hint: c.next("connect"),
		}
	case conn.Spec.Redirect == v1alpha1.RedirectLoopback && c.options.Code:
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s has redirect Loopback: the provider sends the browser back to this machine, so --code cannot help", conn.Name),
			Hint: c.next("connect"),
		}
	}
	return nil
}

// permitted says whether this person may connect accounts in the namespace.
func (c *connecting) permitted(ctx context.Context) error {
	who := &authenticationv1.SelfSubjectReview{}
	if err := c.cluster.Create(ctx, who); err != nil {
		return err
	}
	c.username = who.Status.UserInfo.Username
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.before.Namespace, Verb: "create", Group: v1alpha1.GroupVersion.Group, Resource: "oauthauthorizations",
		},
	}}
	if err := c.cluster.Create(ctx, review); err != nil {
		return err
	}
	if review.Status.Allowed {
		return nil
	}
	return &problem{
		Text: fmt.Sprintf("you may not connect accounts in namespace %s: ask for ClusterRole edit there, which contains oauth-operator-edit", c.before.Namespace),
		Hint: fmt.Sprintf("somebody who may has to run: kubectl -n %s create rolebinding connect-accounts --clusterrole=edit --user=%s", c.before.Namespace, shellWord(c.username)),
	}
}

// replaceable asks before an account is replaced.
func (c *connecting) replaceable(ctx context.Context) error {
	if !c.connected() || c.options.Yes {
		return nil
	}
	if !c.asks {
		return &problem{
			Text: fmt.Sprintf("OAuthConnection %s is connected already, to %s", c.before.Name, account(c.before.Status.Account)),
			Hint: "to replace that: " + c.next("connect", "--yes"),
		}
	}
	answer, err := c.question(ctx, fmt.Sprintf("%s is connected already, to %s. Replace it? [y/N] ", c.before.Name, account(c.before.Status.Account)))
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return &problem{Text: "not replaced: " + c.nothing()}
	}
	return nil
}

// connected says whether an account was connected before.
func (c *connecting) connected() bool {
	return c.before != nil && meta.IsStatusConditionTrue(c.before.Status.Conditions, v1alpha1.AuthorizedCondition)
}

// next is a command for this connection.
func (c *connecting) next(verb string, flags ...string) string {
	return c.command(c.before.Namespace, append([]string{verb, c.before.Name}, flags...)...)
}

// account names one, for people.
func account(name string) string {
	if name == "" {
		return "an account whose name is not known"
	}
	return clean(name)
}

// shellWord quotes a text for a shell, where it has to be.
func shellWord(text string) string {
	if regexp.MustCompile(`^[\w@%+=:,./-]+$`).MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
