// Copyright The oauth-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// expressionCost bounds an expression. A field of a token costs less than ten.
	expressionCost = 10_000
	// expressionTime bounds it as well, without the wait for userInfo: to compare two deep values costs
	// nothing and takes milliseconds. A usual expression takes microseconds.
	expressionTime = 500 * time.Millisecond
	// expressionSize bounds every value on the way, in elements, ten bytes of a text being one, and
	// expressionDepth how deep it is. Both are more than any answer has that is not made to be compared:
	// a list can be its own double thirty times over, and to walk it is one operation that nothing ends.
	expressionSize, expressionDepth = 100_000, 100
	// expressionPattern bounds a compiled regular expression: matching a text of 64 KiB takes about a second.
	expressionPattern = 1000
	// cachedPrograms of 512 characters take 70 MiB at worst. The catalogue has about 500.
	cachedPrograms = 1024
)

// variables are what an expression can speak of.
type variables string

const (
	// ofAccount are idToken, userInfo, body and callback.
	ofAccount variables = "account"
	// ofResponse are body, headers and status.
	ofResponse variables = "response"
	// ofMetadata are callback, body, headers, idToken and userInfo.
	ofMetadata variables = "metadata"
)

// expressions compiles CEL and keeps what it compiled.
type expressions struct {
	envs  map[variables]*cel.Env
	cache *lru.Cache[string, *program]
}

// program is a compiled expression.
type program struct {
	cel.Program
	output *cel.Type
}

func newExpressions() (*expressions, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	texts := cel.MapType(cel.StringType, cel.StringType)
	idToken, userInfo, body := cel.Variable("idToken", object), cel.Variable("userInfo", object), cel.Variable("body", object)
	callback, headers, status := cel.Variable("callback", texts), cel.Variable("headers", texts), cel.Variable("status", cel.IntType)
	x := &expressions{envs: map[variables]*cel.Env{}}
	for name, declared := range map[variables][]cel.EnvOption{
		ofAccount:  {idToken, userInfo, body, callback},
		ofResponse: {body, headers, status},
		ofMetadata: {callback, body, headers, idToken, userInfo},
	} {
		env, err := cel.NewEnv(append(declared, cel.RegexProgramSizeLimit(expressionPattern))...)
		if err != nil {
			return nil, err
		}
		x.envs[name] = env
	}
	var err error
	x.cache, err = lru.New[string, *program](cachedPrograms)
	return x, err
}

// compile returns nil for the empty expression. The error says what is wrong with the expression, or
// that it gives another type than those wanted.
func (x *expressions) compile(over variables, expression string, wanted ...*cel.Type) (*program, error) {
	if expression == "" {
		return nil, nil
	}
	key := string(over) + "\x00" + expression
	p, found := x.cache.Get(key)
	if !found {
		checked, issues := x.envs[over].Compile(expression)
		if issues.Err() != nil {
			return nil, errors.New(issues.Errors()[0].Message)
		}
		if !patternsWritten(checked) {
			return nil, errors.New("matches takes a pattern that is written out")
		}
		compiled, err := x.envs[over].Program(checked, cel.CostLimit(expressionCost), cel.EvalOptions(cel.OptTrackCost), cel.InterruptCheckFrequency(1),
			cel.MemoryLimit(expressionSize), cel.MemoryTracking(types.MemoryTrackerSampleInterval(1), types.MemoryTrackerSizeCalculator(
				types.NewSizeCalculator(types.SizeCalculatorMaxDepth(expressionDepth), types.SizeCalculatorMaxTraversal(expressionSize)))))
		if err != nil {
			return nil, err
		}
		p = &program{compiled, checked.OutputType()}
	}
	fits := func(t *cel.Type) bool { return t.IsAssignableType(p.output) }
	if !p.output.IsExactType(cel.DynType) && !slices.ContainsFunc(wanted, fits) {
		return nil, errors.New("it gives " + p.output.String())
	}
	x.cache.Add(key, p)
	return p, nil
}

// patternsWritten says whether all regular expressions are part of the expression. One that a provider
// sends could take a hundred MiB to compile.
func patternsWritten(compiled *cel.Ast) bool {
	written := true
	ast.PostOrderVisit(compiled.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
			return
		}
		args := e.AsCall().Args()
		written = written && args[len(args)-1].Kind() == ast.LiteralKind
	}))
	return written
}

// What an evaluation can come to without a value.
const (
	costly   = "takes too much"
	unworked = "could not be worked out"
)

// eval returns nil where there is nothing: a field is missing or null. issue is one of the fixed texts
// above, or empty.
func (p *program) eval(ctx context.Context, vars map[string]any) (value ref.Val, issue string) {
	result, _, err := p.ContextEval(ctx, vars)
	switch {
	case err == nil && result == types.NullValue, err == nil && types.IsUnknown(result):
		return nil, ""
	case err == nil:
		return result, ""
	case ctx.Err() != nil, strings.Contains(err.Error(), "limit exceeded"), strings.Contains(err.Error(), "interrupted"):
		return nil, costly
	// The library has no types for these. What follows in its texts is foreign and goes nowhere.
	case strings.HasPrefix(err.Error(), "no such key"), strings.HasPrefix(err.Error(), "index out of bounds"):
		return nil, ""
	}
	return nil, unworked
}

// kindOfValue is for people.
func kindOfValue(value ref.Val) string {
	switch value.(type) {
	case types.String:
		return "a text"
	case types.Int, types.Uint, types.Double:
		return "a number"
	case types.Bool:
		return "true or false"
	case types.Timestamp:
		return "a time"
	}
	switch value.Type() {
	case types.ListType:
		return "a list"
	case types.MapType:
		return "an object"
	}
	return "something else"
}

// numeric reads whatever number CEL has.
func numeric(value ref.Val) (float64, bool) {
	switch v := value.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
	}
	return 0, false
}

// object gives CEL whole numbers as such, so that string(userInfo.id) is not 1.234567e+06.
func object(found map[string]any) map[string]any {
	result := make(map[string]any, len(found))
	for name, value := range found {
		result[name] = number(value)
	}
	return result
}

func number(value any) any {
	switch v := value.(type) {
	case float64:
		if whole := math.Trunc(v); whole == v && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case map[string]any:
		return object(v)
	case []any:
		result := make([]any, len(v))
		for i := range v {
			result[i] = number(v[i])
		}
		return result
	}
	return value
}
