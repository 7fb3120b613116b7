package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_util"
	gxbig "github.com/dubbogo/gost/math/big"
)

const typesService = "com.ferry.interop.Types"

// Types answers each sample with its own. dubbo-go passes on what its reader makes of an argument, converted into nothing: a
// byte, a short and an int are int32, a float is float64, a char is string, and null is a pointer to a new value of the type,
// which only an interface survives.
type Types struct{}

// answered holds an argument to the sample of its name, and answers with the sample.
func answered(method, name string, got any) (any, error) {
	for _, s := range samples() {
		if s.method != method || s.name != name {
			continue
		}
		if a, b := meaning(s.value), meaning(got); a != b {
			return nil, fmt.Errorf("the provider got %.200s, not %.200s", b, a)
		}
		if nilled(reflect.ValueOf(s.sent())) { // dubbo-go answers with nothing only where the interface itself is nil
			return nil, nil
		}
		return s.sent(), nil
	}
	return nil, fmt.Errorf("no sample %q of %s", name, method)
}

// ABoolean and the others have one Java type each.
func (*Types) ABoolean(_ context.Context, name string, v bool) (any, error) {
	return answered("aBoolean", name, v)
}

// AByte takes a byte.
func (*Types) AByte(_ context.Context, name string, v int32) (any, error) {
	return answered("aByte", name, v)
}

// AShort takes a short.
func (*Types) AShort(_ context.Context, name string, v int32) (any, error) {
	return answered("aShort", name, v)
}

// AChar takes a char.
func (*Types) AChar(_ context.Context, name, v string) (any, error) {
	return answered("aChar", name, v)
}

// AnInt takes one.
func (*Types) AnInt(_ context.Context, name string, v int32) (any, error) {
	return answered("anInt", name, v)
}

// ALong takes one.
func (*Types) ALong(_ context.Context, name string, v int64) (any, error) {
	return answered("aLong", name, v)
}

// AFloat takes one.
func (*Types) AFloat(_ context.Context, name string, v float64) (any, error) {
	return answered("aFloat", name, v)
}

// ADouble takes one.
func (*Types) ADouble(_ context.Context, name string, v float64) (any, error) {
	return answered("aDouble", name, v)
}

// BoxedBoolean takes one.
func (*Types) BoxedBoolean(_ context.Context, name string, v any) (any, error) {
	return answered("boxedBoolean", name, v)
}

// BoxedByte takes one.
func (*Types) BoxedByte(_ context.Context, name string, v any) (any, error) {
	return answered("boxedByte", name, v)
}

// BoxedShort takes one.
func (*Types) BoxedShort(_ context.Context, name string, v any) (any, error) {
	return answered("boxedShort", name, v)
}

// BoxedChar takes one.
func (*Types) BoxedChar(_ context.Context, name string, v any) (any, error) {
	return answered("boxedChar", name, v)
}

// BoxedInt takes one.
func (*Types) BoxedInt(_ context.Context, name string, v any) (any, error) {
	return answered("boxedInt", name, v)
}

// BoxedLong takes one.
func (*Types) BoxedLong(_ context.Context, name string, v any) (any, error) {
	return answered("boxedLong", name, v)
}

// BoxedFloat takes one.
func (*Types) BoxedFloat(_ context.Context, name string, v any) (any, error) {
	return answered("boxedFloat", name, v)
}

// BoxedDouble takes one.
func (*Types) BoxedDouble(_ context.Context, name string, v any) (any, error) {
	return answered("boxedDouble", name, v)
}

// String takes one.
func (*Types) String(_ context.Context, name string, v string) (any, error) {
	return answered("string", name, v)
}

// Bytes takes one.
func (*Types) Bytes(_ context.Context, name string, v any) (any, error) {
	return answered("bytes", name, v)
}

// Booleans takes one.
func (*Types) Booleans(_ context.Context, name string, v []bool) (any, error) {
	return answered("booleans", name, v)
}

// Chars takes one.
func (*Types) Chars(_ context.Context, name string, v string) (any, error) {
	return answered("chars", name, v)
}

// Shorts takes one.
func (*Types) Shorts(_ context.Context, name string, v []int32) (any, error) {
	return answered("shorts", name, v)
}

// Ints takes one.
func (*Types) Ints(_ context.Context, name string, v any) (any, error) {
	return answered("ints", name, v)
}

// Longs takes one.
func (*Types) Longs(_ context.Context, name string, v []int64) (any, error) {
	return answered("longs", name, v)
}

// Floats takes one.
func (*Types) Floats(_ context.Context, name string, v []float64) (any, error) {
	return answered("floats", name, v)
}

// Doubles takes one.
func (*Types) Doubles(_ context.Context, name string, v []float64) (any, error) {
	return answered("doubles", name, v)
}

// Strings takes one.
func (*Types) Strings(_ context.Context, name string, v []string) (any, error) {
	return answered("strings", name, v)
}

// Objects takes one.
func (*Types) Objects(_ context.Context, name string, v []hessian.Object) (any, error) {
	return answered("objects", name, v)
}

// People takes one.
func (*Types) People(_ context.Context, name string, v []*Person) (any, error) {
	return answered("people", name, v)
}

// Grid takes one.
func (*Types) Grid(_ context.Context, name string, v [][]int32) (any, error) {
	return answered("grid", name, v)
}

// List takes one.
func (*Types) List(_ context.Context, name string, v any) (any, error) {
	return answered("list", name, v)
}

// ListOfLongs takes one.
func (*Types) ListOfLongs(_ context.Context, name string, v []any) (any, error) {
	return answered("listOfLongs", name, v)
}

// ListOfPeople takes one.
func (*Types) ListOfPeople(_ context.Context, name string, v any) (any, error) {
	return answered("listOfPeople", name, v)
}

// ListOfAnything takes one.
func (*Types) ListOfAnything(_ context.Context, name string, v []any) (any, error) {
	return answered("listOfAnything", name, v)
}

// Nested takes one.
func (*Types) Nested(_ context.Context, name string, v []any) (any, error) {
	return answered("nested", name, v)
}

// ListOfDates takes one.
func (*Types) ListOfDates(_ context.Context, name string, v []any) (any, error) {
	return answered("listOfDates", name, v)
}

// ListOfDecimals takes one.
func (*Types) ListOfDecimals(_ context.Context, name string, v []any) (any, error) {
	return answered("listOfDecimals", name, v)
}

// ListOfColors takes one.
func (*Types) ListOfColors(_ context.Context, name string, v []any) (any, error) {
	return answered("listOfColors", name, v)
}

// Collection takes one.
func (*Types) Collection(_ context.Context, name string, v []any) (any, error) {
	return answered("collection", name, v)
}

// Set takes one.
func (*Types) Set(_ context.Context, name string, v []any) (any, error) {
	return answered("set", name, v)
}

// Map takes one.
func (*Types) Map(_ context.Context, name string, v any) (any, error) {
	return answered("map", name, v)
}

// MapOfPeople takes one.
func (*Types) MapOfPeople(_ context.Context, name string, v map[any]any) (any, error) {
	return answered("mapOfPeople", name, v)
}

// DeepMap takes one.
func (*Types) DeepMap(_ context.Context, name string, v map[any]any) (any, error) {
	return answered("deepMap", name, v)
}

// MapByColor takes one.
func (*Types) MapByColor(_ context.Context, name string, v map[any]any) (any, error) {
	return answered("mapByColor", name, v)
}

// MapOfAnything takes one.
func (*Types) MapOfAnything(_ context.Context, name string, v map[any]any) (any, error) {
	return answered("mapOfAnything", name, v)
}

// Person takes one.
func (*Types) Person(_ context.Context, name string, v any) (any, error) {
	return answered("person", name, v)
}

// Manager takes one.
func (*Types) Manager(_ context.Context, name string, v *Manager) (any, error) {
	return answered("manager", name, v)
}

// Node takes one.
func (*Types) Node(_ context.Context, name string, v *Node) (any, error) {
	return answered("node", name, v)
}

// Twins takes one.
func (*Types) Twins(_ context.Context, name string, v *Twins) (any, error) {
	return answered("twins", name, v)
}

// Evolving takes one.
func (*Types) Evolving(_ context.Context, name string, v *Evolving) (any, error) {
	v.DubboGoOnly = nil // which Ferry has not, and the sample neither
	return answered("evolving", name, v)
}

// Everything takes one.
func (*Types) Everything(_ context.Context, name string, v *Everything) (any, error) {
	return answered("everything", name, v)
}

// FloatField takes one.
func (*Types) FloatField(_ context.Context, name string, v *Floating) (any, error) {
	return answered("floatField", name, v)
}

// Color takes one.
func (*Types) Color(_ context.Context, name string, v any) (any, error) {
	return answered("color", name, v)
}

// Date takes one.
func (*Types) Date(_ context.Context, name string, v time.Time) (any, error) {
	return answered("date", name, v)
}

// LocalDate takes one.
func (*Types) LocalDate(_ context.Context, name string, v *java8_time.LocalDate) (any, error) {
	return answered("localDate", name, v)
}

// LocalTime takes one.
func (*Types) LocalTime(_ context.Context, name string, v *java8_time.LocalTime) (any, error) {
	return answered("localTime", name, v)
}

// LocalDateTime takes one.
func (*Types) LocalDateTime(_ context.Context, name string, v *java8_time.LocalDateTime) (any, error) {
	return answered("localDateTime", name, v)
}

// Instant takes one.
func (*Types) Instant(_ context.Context, name string, v *java8_time.Instant) (any, error) {
	return answered("instant", name, v)
}

// Duration takes one.
func (*Types) Duration(_ context.Context, name string, v *java8_time.Duration) (any, error) {
	return answered("duration", name, v)
}

// Decimal takes one.
func (*Types) Decimal(_ context.Context, name string, v *gxbig.Decimal) (any, error) {
	if name == "exponent" {
		return v, nil
	}
	return answered("decimal", name, v)
}

// BigInteger takes one.
func (*Types) BigInteger(_ context.Context, name string, v *gxbig.Integer) (any, error) {
	return answered("bigInteger", name, v)
}

// Uuid takes one.
func (*Types) Uuid(_ context.Context, name string, v *java_util.UUID) (any, error) {
	return answered("uuid", name, v)
}

// Object takes one.
func (*Types) Object(_ context.Context, name string, v any) (any, error) {
	return answered("object", name, v)
}
