package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
	gxbig "github.com/dubbogo/gost/math/big"
)

// meaning is what a value says, whichever of Go's types says it: integers by their number, floats by theirs, objects by class
// and fields.
func meaning(v any) string {
	var b strings.Builder
	write(&b, reflect.ValueOf(v), nil)
	return b.String()
}

// write appends the meaning of a value that stands within the objects of above.
func write(b *strings.Builder, v reflect.Value, above []uintptr) {
	if !v.IsValid() || nilled(v) {
		b.WriteString("null")
		return
	}
	if said(b, v.Interface()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Pointer {
			if i := slices.Index(above, v.Pointer()); i >= 0 {
				fmt.Fprintf(b, "object %d above", len(above)-i)
				return
			}
			above = append(above, v.Pointer())
		}
		write(b, v.Elem(), above)
	case reflect.Struct:
		fmt.Fprintf(b, "%s{", v.Type().Name())
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			fmt.Fprintf(b, "%s: ", v.Type().Field(i).Name)
			write(b, v.Field(i), above)
			b.WriteString(", ")
		}
		b.WriteString("}")
	case reflect.Slice, reflect.Array:
		b.WriteString("[")
		for i := range v.Len() {
			write(b, v.Index(i), above)
			b.WriteString(", ")
		}
		b.WriteString("]")
	case reflect.Map:
		pairs := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			var pair strings.Builder
			write(&pair, it.Key(), above)
			pair.WriteString(": ")
			write(&pair, it.Value(), above)
			pairs = append(pairs, pair.String())
		}
		slices.Sort(pairs)
		fmt.Fprintf(b, "map[%s]", strings.Join(pairs, ", "))
	case reflect.Float32, reflect.Float64: // a float is on the wire as the double of its shortest text, or as the same number
		if f := v.Float(); float64(float32(f)) == f {
			fmt.Fprintf(b, "%v", float32(f))
		} else {
			fmt.Fprintf(b, "%v", f)
		}
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
}

func nilled(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// said writes what is more than its Go type.
func said(b *strings.Builder, v any) bool {
	switch v := v.(type) {
	case time.Time:
		fmt.Fprintf(b, "date %d", v.UnixMilli())
	case *time.Time:
		fmt.Fprintf(b, "date %d", v.UnixMilli())
	case *gxbig.Decimal:
		fmt.Fprintf(b, "decimal %s", v)
	case *gxbig.Integer:
		fmt.Fprintf(b, "integer %s", v)
	case hessian.POJOEnum:
		fmt.Fprintf(b, "%s %s", v.JavaClassName(), v)
	default:
		return false
	}
	return true
}

// types sends each sample, and expects it back.
func (x *caller) types() {
	var order []string
	bad := map[string][]string{}
	for _, s := range samples() {
		if !slices.Contains(order, s.method) {
			order = append(order, s.method)
		}
		if err := x.sample(s); err != nil {
			bad[s.method] = append(bad[s.method], fmt.Sprintf("[%s] %v", s.name, err))
		}
	}
	for _, method := range order {
		var err error
		if len(bad[method]) > 0 {
			err = fmt.Errorf("%s", strings.Join(bad[method], "; "))
		}
		cell("types/"+method, err)
	}
	sent, got := mustDecimal("1E+30"), new(gxbig.Decimal)
	err := x.within(got, "decimal", "exponent", sent)
	cell("types/decimal, exponent", want("1E+30", got.Value, err))
}

// reply is a variable of the sample's type. dubbo-go's reader makes int of short and double of float, and then converts neither
// slices nor maps.
func (s *sample) reply() any {
	switch s.value.(type) {
	case nil, []int16, []float32, map[string]int32, map[int64]*Person:
		return new(any)
	}
	return reflect.New(reflect.TypeOf(s.value)).Interface()
}

// sample sends one.
func (x *caller) sample(s *sample) error {
	reply := s.reply()
	if err := x.within(reply, s.method, s.name, s.argument()); err != nil {
		return err
	}
	if a, b := meaning(s.value), meaning(reflect.ValueOf(reply).Elem().Interface()); a != b {
		return fmt.Errorf("got %.200s, not %.200s", b, a)
	}
	return nil
}
