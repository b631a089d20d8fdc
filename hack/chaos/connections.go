// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/oauth-operator/oauth-operator/api/v1alpha1"
	"github.com/oauth-operator/oauth-operator/internal/testenv/records"
)

// tokenKey is where a target Secret has its access token.
const tokenKey = "access_token"

func objectKey(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// populate makes the connections and a record for each.
func (c *cell) populate(ctx context.Context, o cellOptions) error {
	if o.token == nil {
		o.token = func(int) (time.Time, time.Duration) { return time.Now(), time.Hour }
	}
	c.conns = make([]*connection, o.connections)
	return records.Each(ctx, planters, o.connections, func(ctx context.Context, i int) error {
		conn := c.describe(i, i%max(o.clients, 1))
		if err := c.env.Client.Create(ctx, conn); err != nil {
			return err
		}
		c.conns[i] = &connection{object: conn}
		obtained, life := o.token(i)
		return c.consent(ctx, c.conns[i], obtained, life)
	})
}

// describe is connection i, of a client that its team has registered at the cell's provider.
func (c *cell) describe(i, clientNumber int) *v1alpha1.OAuthConnection {
	team, refresh := c.teams[i%len(c.teams)], &v1alpha1.RefreshRules{Rotation: c.rotation}
	if c.window > 0 {
		refresh.RetryWindow = &metav1.Duration{Duration: c.window}
	}
	return &v1alpha1.OAuthConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: fmt.Sprintf("connection-%05d", i)},
		Spec: v1alpha1.OAuthConnectionSpec{
			Provider: &v1alpha1.ProviderSpec{
				Endpoints: &v1alpha1.Endpoints{
					Authorization: v1alpha1.EndpointURL(c.tokens.url + "/authorize"),
					Token:         v1alpha1.EndpointURL(c.tokens.url + "/token"),
				},
				Refresh: refresh,
			},
			Client: &v1alpha1.ClientSpec{ID: fmt.Sprintf("%s-%04d", team, clientNumber)},
			Grant:  v1alpha1.GrantAuthorizationCode,
			Scopes: []v1alpha1.Scope{"repo"},
		},
	}
}

// consent gives a connection a family of tokens of its own, in place of what it had.
func (c *cell) consent(ctx context.Context, conn *connection, obtained time.Time, life time.Duration) error {
	resolved, err := c.resolver.Connection(ctx, conn.object)
	if err != nil {
		return err
	}
	token := c.tokens.issue(obtained, life)
	family, _, _ := parseRefresh(token.RefreshToken.Reveal())
	conn.family.Store(int64(family))
	return c.records.Consent(ctx, conn.object, resolved, token)
}

// ask requests a renewal, as kubectl oauth refresh does.
func (c *cell) ask(ctx context.Context, conn *connection, request string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RefreshRequestedAnnotation, request)
	target := &v1alpha1.OAuthConnection{ObjectMeta: metav1.ObjectMeta{Namespace: conn.object.Namespace, Name: conn.object.Name}}
	return c.env.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// askAll requests a renewal of all these.
func (c *cell) askAll(ctx context.Context, conns []*connection, request string) error {
	return records.Each(ctx, planters, len(conns), func(ctx context.Context, i int) error { return c.ask(ctx, conns[i], request) })
}

// list reads all connections of the cell, by UID.
func (c *cell) list(ctx context.Context) (map[types.UID]*v1alpha1.OAuthConnection, error) {
	all := map[types.UID]*v1alpha1.OAuthConnection{}
	for _, team := range c.teams {
		var list v1alpha1.OAuthConnectionList
		if err := c.env.Client.List(ctx, &list, client.InNamespace(team)); err != nil {
			return nil, err
		}
		for i := range list.Items {
			all[list.Items[i].UID] = &list.Items[i]
		}
	}
	return all, nil
}

// truth is what the provider knows about a connection's grant.
func (c *cell) truth(conn *connection) truth { return c.tokens.truth(int(conn.family.Load())) }

// holds says which generation of its family's refresh token a connection's record has; -1: of another
// family, or none. over says that the operator knows that the grant is over.
func (c *cell) holds(ctx context.Context, conn *connection) (generation int, over bool, err error) {
	record, err := c.records.Get(ctx, conn.object)
	if err != nil {
		return -1, false, err
	}
	family, generation, ok := parseRefresh(record.Token.RefreshToken.Reveal())
	if !ok || family != int(conn.family.Load()) {
		return -1, record.Ended != "", nil
	}
	return generation, record.Ended != "", nil
}

// alive says whether a connection has the refresh token that is good, and why not.
func (c *cell) alive(ctx context.Context, conn *connection) (bool, string, error) {
	generation, over, err := c.holds(ctx, conn)
	if err != nil {
		return false, "", err
	}
	switch is := c.truth(conn); {
	case is.ended:
		return false, "the provider ended its grant", nil
	case over:
		return false, "the operator believes that its grant is over", nil
	case generation != is.good:
		return false, fmt.Sprintf("it holds refresh token %d and %d is good", generation, is.good), nil
	}
	return true, "", nil
}

// verify asks for a renewal of every connection and returns those that do not get one within
// settleWithin: they are lost, and the text says in which way.
func (c *cell) verify(ctx context.Context, conns []*connection) (map[*connection]string, error) {
	request := fmt.Sprintf("verify-%d", time.Now().UnixNano())
	before := make([]time.Time, len(conns))
	for i, conn := range conns {
		before[i] = c.truth(conn).expiry
	}
	if err := c.askAll(ctx, conns, request); err != nil {
		return nil, err
	}
	open := map[*connection]string{}
	for _, conn := range conns {
		open[conn] = "it was not looked at"
	}
	bounded, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	err := poll(bounded, 200*time.Millisecond, func() (bool, error) {
		for i, conn := range conns {
			if _, ok := open[conn]; !ok {
				continue // once is enough: it may be under way to the next one
			}
			alive, why, err := c.alive(bounded, conn)
			switch {
			case err != nil:
				return false, err
			case !alive:
				open[conn] = why
			case c.rotation == v1alpha1.RotationRotating && !c.truth(conn).expiry.After(before[i]):
				open[conn] = "it was not renewed"
			default:
				delete(open, conn)
			}
		}
		return len(open) == 0, nil
	}, func() string { return "connections are lost" })
	if bounded.Err() != nil && ctx.Err() == nil {
		err = nil
	}
	return open, err
}

// tell lists the lost ones for a scenario's notes, a few of them.
func (c *cell) tell(ctx context.Context, lost map[*connection]string) []string {
	var notes []string
	now, err := c.list(ctx)
	for conn, why := range lost {
		note := fmt.Sprintf("%s/%s (%s, family %d): %s", conn.object.Namespace, conn.object.Name, conn.object.UID, conn.family.Load(), why)
		if is := now[conn.object.UID]; err == nil && is != nil {
			for _, condition := range is.Status.Conditions {
				if condition.Type == v1alpha1.ReadyCondition {
					note += fmt.Sprintf("; Ready is %s: %s: %s", condition.Status, condition.Reason, condition.Message)
				}
			}
		}
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes[:min(len(notes), 10)]
}
