package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_util"
	gxbig "github.com/dubbogo/gost/math/big"
)

// anything sends a value of each type that dubbo-go knows as the element of a list, and gets it back. It cannot send one where a service
// takes an Object: it asks for a method that takes the class of the value, which Java does not find either.
func (x *caller) anything() {
	moment := time.UnixMilli(1700000000123).UTC()
	decimal, _ := gxbig.NewDecFromString("12.30")
	number := new(gxbig.Integer)
	_ = number.FromString("-123456789012345678901234567890")
	day, clock := java8_time.LocalDate{Year: 2024, Month: 2, Day: 29}, java8_time.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7}
	for _, c := range []struct {
		name  string
		value any
	}{
		{"text of 70,000", strings.Repeat("z", 70000)}, {"emoji", "😀 中"}, {"int", int32(-5)}, {"long", int64(1) << 40}, {"double", 2.5}, {"boolean", true},
		{"bytes", []byte{1, 255}}, {"list", []any{"a", int32(1), []any{"x", nil}}}, {"map", map[any]any{"k": int64(1), "none": nil}},
		{"date", moment}, {"list of dates", []any{moment, moment}}, {"decimal", decimal}, {"big integer", number},
		{"UUID", &java_util.UUID{Value: "01020304-0506-0708-090a-0b0c0d0e0f10"}}, {"local date", &day}, {"local time", &clock},
		{"local date and time", &java8_time.LocalDateTime{Date: day, Time: clock}}, {"duration", &java8_time.Duration{Seconds: 3, Nanos: 5}},
		{"object", &Citizen{Name: "Ann", Age: 30, Born: moment, Tags: []string{"x"}}},
	} {
		var got []any
		err := x.call(context.Background(), "echoList", &got, []any{"first", c.value}, int32(1))
		if a, b := show([]any{"first", c.value}), show(got); err == nil && a != b {
			err = fmt.Errorf("got %.200s, not %.200s", b, a)
		}
		cell("gopher/element "+c.name, err)
	}
}

// show is what a value means, whether or not it is behind a pointer.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case fmt.Stringer:
		if t, ok := v.(time.Time); ok {
			return t.UTC().String()
		}
		return v.String()
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = show(v[i])
		}
		return strings.Join(parts, ", ")
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		return fmt.Sprintf("%+v", p.Elem().Interface())
	}
	return fmt.Sprintf("%+v", v)
}
