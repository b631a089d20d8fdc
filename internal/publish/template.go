// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

const (
	// maxOutput bounds the values of one target together, in bytes: half of what a Secret can hold.
	maxOutput = 512 << 10
	// maxWork bounds what one rendering does, in bytes that functions read and write. A usual
	// template needs some thousand.
	maxWork = 4 << 20
)

var (
	errOutput = errors.New("the values are longer than 512 KiB together")
	errWork   = errors.New("the template does too much work")
)

// render evaluates the templates of spec.secret.template.data. It ends in bounded time: there is no
// loop but over the scopes, no recursion, and every function pays for its work.
func render(templates map[string]string, fields map[string]any) (map[string][]byte, error) {
	work := &meter{left: maxWork}
	room := &meter{left: maxOutput}
	data := make(map[string][]byte, len(templates))
	for _, key := range slices.Sorted(maps.Keys(templates)) {
		value, err := renderKey(key, templates[key], fields, work, room)
		if err != nil {
			return nil, fmt.Errorf("spec.secret.template.data: %w%s", trimmed(err), offer(err, fields))
		}
		data[key] = value
	}
	return data, nil
}

func renderKey(key, text string, fields map[string]any, work, room *meter) ([]byte, error) {
	functions := functions(work)
	t, err := template.New(key).Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, err
	}
	if t.Tree == nil || len(t.Templates()) > 1 {
		return nil, fmt.Errorf("%s: define and block are not available", key)
	}
	c := checker{key: key, functions: functions}
	if err := c.check(t.Root, false); err != nil {
		return nil, err
	}
	scopes, _ := fields["scopes"].([]string)
	if err := work.spend(len(text) * (1 + len(scopes)*c.loops)); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	out := &bounded{room: room}
	if err := t.Execute(out, fields); err != nil {
		if errors.Is(err, errOutput) {
			return nil, fmt.Errorf("%s: %w", key, errOutput)
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// meter is an allowance that is used up.
type meter struct{ left int }

func (m *meter) spend(n int) error {
	if m.left -= n; n < 0 || m.left < 0 {
		return errWork
	}
	return nil
}

// bounded is a buffer that refuses to outgrow its room.
type bounded struct {
	bytes.Buffer
	room *meter
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.room.spend(len(p)) != nil {
		return 0, errOutput
	}
	return b.Buffer.Write(p)
}

// checker walks a parsed template and refuses what could run for long or is not on the list.
type checker struct {
	key       string
	functions template.FuncMap
	loops     int
}

func (c *checker) check(node parse.Node, inLoop bool) error {
	switch n := node.(type) {
	case *parse.ListNode:
		return c.list(n, inLoop)
	case *parse.ActionNode:
		return c.pipe(n.Pipe)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, inLoop)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, inLoop)
	case *parse.RangeNode:
		if inLoop || !overScopes(n.Pipe) {
			return c.refuse("range goes over .scopes only, and not within another range")
		}
		c.loops++
		return c.branch(&n.BranchNode, true)
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	}
	return c.refuse("%s is not available", node)
}

func (c *checker) list(list *parse.ListNode, inLoop bool) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := c.check(node, inLoop); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) branch(n *parse.BranchNode, inLoop bool) error {
	return errors.Join(c.pipe(n.Pipe), c.list(n.List, inLoop), c.list(n.ElseList, inLoop))
}

// pipe refuses text/template's own functions: some write what they like (printf "%1000000d").
func (c *checker) pipe(pipe *parse.PipeNode) error {
	if pipe == nil {
		return nil
	}
	for _, command := range pipe.Cmds {
		for _, arg := range command.Args {
			if err := c.argument(arg); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) argument(arg parse.Node) error {
	switch n := arg.(type) {
	case *parse.IdentifierNode:
		if _, ok := c.functions[n.Ident]; !ok && !slices.Contains(logic(), n.Ident) {
			return c.refuse("function %q is not available", n.Ident)
		}
	case *parse.PipeNode:
		return c.pipe(n)
	case *parse.ChainNode:
		return c.argument(n.Node)
	}
	return nil
}

func (c *checker) refuse(format string, args ...any) error {
	return fmt.Errorf("%s: %s", c.key, fmt.Sprintf(format, args...))
}

// logic are text/template's own functions that cost nothing.
func logic() []string { return []string{"and", "or", "not", "len"} }

func overScopes(pipe *parse.PipeNode) bool {
	if len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return false
	}
	switch n := pipe.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return slices.Equal(n.Ident, []string{"scopes"})
	case *parse.VariableNode:
		return slices.Equal(n.Ident, []string{"$", "scopes"})
	}
	return false
}

// trimmed takes the words off that text/template puts before its errors. Values are never in them.
func trimmed(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "template: "))
}

// offer tells who asked for what does not exist what there is.
func offer(err error, fields map[string]any) string {
	values, _ := fields["metadata"].(map[string]string)
	switch text := err.Error(); {
	case strings.Contains(text, "map has no entry for key") && strings.Contains(text, ".metadata.") && len(values) == 0:
		return "; nothing is kept: the provider's description has no metadata, or the provider did not send it"
	case strings.Contains(text, "map has no entry for key") && strings.Contains(text, ".metadata."):
		return "; there are .metadata." + strings.Join(slices.Sorted(maps.Keys(values)), ", .metadata.")
	case strings.Contains(text, "map has no entry for key"):
		return "; there are ." + strings.Join(slices.Sorted(maps.Keys(fields)), ", .")
	case strings.Contains(text, "function ") && (strings.HasSuffix(text, " not defined") || strings.HasSuffix(text, " is not available")):
		names := slices.AppendSeq(logic(), maps.Keys(functions(&meter{})))
		return "; there are " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	}
	return ""
}
