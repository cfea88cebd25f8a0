// The oracle for expressions: reads questions as JSON from stdin, answers with what cel-go says.
//
// The input is an object type whose nullable fields are wrapper types (int, double, string, bool) or a plain timestamp,
// which CEL lets be null. days(), hours(), minutes() and seconds() are declared as Tendon defines them.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

type field struct {
	Name     string
	Type     string
	Nullable bool
}

type question struct {
	Fields      []field
	Records     []map[string]*string
	Now         string
	Output      float64
	Band        string
	Expressions []string
}

type verdict struct {
	Ok      bool
	Type    string
	Error   string
	Results []string
}

// input is a record: missing or nil is null.
type input map[string]any

type provider struct {
	types.Provider
	fields map[string]*types.FieldType
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if name == "Input" {
		return types.NewTypeTypeWithParam(types.NewObjectType("Input")), true
	}
	return p.Provider.FindStructType(name)
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name == "Input" {
		found, ok := p.fields[field]
		return found, ok
	}
	return p.Provider.FindStructFieldType(name, field)
}

func celType(f field) *cel.Type {
	base := map[string]*cel.Type{
		"int": cel.IntType, "float": cel.DoubleType, "text": cel.StringType, "bool": cel.BoolType, "time": cel.TimestampType,
	}[f.Type]
	if f.Nullable && f.Type != "time" {
		return cel.NullableType(base)
	}
	return base
}

func value(kind, text string) any {
	switch kind {
	case "int":
		n, err := strconv.ParseInt(text, 10, 64)
		must(err)
		return n
	case "float":
		n, err := strconv.ParseFloat(text, 64)
		must(err)
		return n
	case "bool":
		return text == "true"
	case "time":
		t, err := time.Parse(time.RFC3339Nano, text)
		must(err)
		return t
	}
	return text
}

func show(v ref.Val) string {
	switch v := v.(type) {
	case types.Bool:
		return fmt.Sprintf("bool %v", bool(v))
	case types.Int:
		return fmt.Sprintf("int %d", int64(v))
	case types.Double:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			return "not finite"
		}
		return fmt.Sprintf("double %016x", math.Float64bits(float64(v)))
	case types.String:
		return "string " + string(v)
	case types.Timestamp:
		return fmt.Sprintf("timestamp %d", v.Time.UnixMicro())
	case types.Null:
		return "null"
	case traits.Lister:
		return "list"
	case types.Duration:
		return "duration"
	}
	return fmt.Sprintf("other %v", v)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func part(name string, unit float64) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_duration", []*cel.Type{cel.DurationType}, cel.DoubleType,
		cel.UnaryBinding(func(v ref.Val) ref.Val {
			micros := v.(types.Duration).Duration.Microseconds()
			return types.Double(float64(micros) / 1e6 / unit)
		})))
}

func main() {
	var q question
	must(json.NewDecoder(os.Stdin).Decode(&q))
	registry, err := types.NewRegistry()
	must(err)
	p := &provider{Provider: registry, fields: map[string]*types.FieldType{}}
	kinds := map[string]string{}
	for _, f := range q.Fields {
		name := f.Name
		kinds[name] = f.Type
		p.fields[name] = &types.FieldType{
			Type:    celType(f),
			IsSet:   func(target any) bool { return target.(input)[name] != nil },
			GetFrom: func(target any) (any, error) { return target.(input)[name], nil },
		}
	}
	env, err := cel.NewEnv(
		cel.CustomTypeProvider(p), cel.CustomTypeAdapter(registry),
		cel.CrossTypeNumericComparisons(true), cel.HomogeneousAggregateLiterals(),
		cel.Variable("input", cel.ObjectType("Input")), cel.Variable("now", cel.TimestampType),
		cel.Variable("output", cel.DoubleType), cel.Variable("band", cel.StringType),
		part("days", 86400), part("hours", 3600), part("minutes", 60), part("seconds", 1),
	)
	must(err)
	now, err := time.Parse(time.RFC3339, q.Now)
	must(err)
	var records []input
	for _, raw := range q.Records {
		record := input{}
		for name, text := range raw {
			if text != nil {
				record[name] = value(kinds[name], *text)
			}
		}
		records = append(records, record)
	}
	var verdicts []verdict
	for _, expression := range q.Expressions {
		verdicts = append(verdicts, ask(env, expression, records, now, q))
	}
	must(json.NewEncoder(os.Stdout).Encode(verdicts))
}

func ask(env *cel.Env, expression string, records []input, now time.Time, q question) verdict {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return verdict{Error: issues.Err().Error()}
	}
	program, err := env.Program(ast)
	if err != nil {
		return verdict{Error: "program: " + err.Error()}
	}
	out := verdict{Ok: true, Type: ast.OutputType().String()}
	for _, record := range records {
		result, _, err := program.Eval(map[string]any{"input": record, "now": now, "output": q.Output, "band": q.Band})
		if err != nil {
			out.Results = append(out.Results, "error "+err.Error())
		} else {
			out.Results = append(out.Results, show(result))
		}
	}
	return out
}
