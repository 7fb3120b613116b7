package fleet

import (
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// A Sample is one value of a method of Types, in the method's own Go type. Java has the same list, written on its own.
type Sample struct {
	Method, Name string
	Value        any
	// Sends is what goes out where that differs from what comes in; nil means the same.
	Sends any
}

// Sent is what a program sends under the sample's name.
func (s Sample) Sent() any {
	if s.Sends != nil {
		return s.Sends
	}
	return s.Value
}

func ptr[T any](v T) *T { return &v }

// Samples makes all values anew.
func Samples() []Sample {
	var s set
	s.scalars()
	s.texts()
	s.arrays()
	s.lists()
	s.maps()
	s.classes()
	s.times()
	s.anything()
	return s
}

type set []Sample

func (s *set) add(method, name string, v any) {
	*s = append(*s, Sample{Method: method, Name: name, Value: v})
}

func (s *set) scalars() {
	s.add("aBoolean", "true", true)
	s.add("aBoolean", "false", false)
	s.add("aByte", "min", int8(math.MinInt8))
	s.add("aByte", "max", int8(math.MaxInt8))
	s.add("aShort", "min", int16(math.MinInt16))
	s.add("aShort", "max", int16(math.MaxInt16))
	s.add("aChar", "ascii", "x")
	s.add("aChar", "chinese", "中")
	for _, v := range []int32{0, 1, -16, 47, 48, -2048, 2047, 2048, -262144, 262143, 262144, math.MinInt32, math.MaxInt32} {
		s.add("anInt", strconv.Itoa(int(v)), v)
	}
	for _, v := range []int64{0, -8, 15, 16, -2048, 2047, -262144, 262143, math.MinInt32, math.MaxInt32, 1 << 31, math.MinInt64, math.MaxInt64} {
		s.add("aLong", strconv.FormatInt(v, 10), v)
	}
	s.add("aFloat", "third", float32(1)/3)
	s.add("aFloat", "max", float32(math.MaxFloat32))
	s.add("aFloat", "tiny", float32(math.SmallestNonzeroFloat32))
	for name, v := range map[string]float64{"zero": 0, "one": 1, "minus": -128, "short": 32767, "mill": 12.25, "ulp": 65.531, "third": 1.0 / 3,
		"max": math.MaxFloat64, "nan": math.NaN(), "infinite": math.Inf(-1)} {
		s.add("aDouble", name, v)
	}
	s.add("boxedBoolean", "true", ptr(true))
	s.add("boxedByte", "value", ptr(int8(-1)))
	s.add("boxedShort", "value", ptr(int16(-300)))
	s.add("boxedChar", "value", "y")
	s.add("boxedInt", "value", ptr(int32(70000)))
	s.add("boxedLong", "value", ptr(int64(7)))
	s.add("boxedFloat", "value", ptr(float32(1.5)))
	s.add("boxedDouble", "value", ptr(2.5))
	s.add("boxedBoolean", "null", (*bool)(nil))
	s.add("boxedByte", "null", (*int8)(nil))
	s.add("boxedShort", "null", (*int16)(nil))
	s.add("boxedChar", "null", nil)
	s.add("boxedInt", "null", (*int32)(nil))
	s.add("boxedLong", "null", (*int64)(nil))
	s.add("boxedFloat", "null", (*float32)(nil))
	s.add("boxedDouble", "null", (*float64)(nil))
}

func blob(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31)
	}
	return b
}

func (s *set) texts() {
	for name, v := range map[string]string{"empty": "", "ascii": "Hello, world", "chinese": "你好，世界", "emoji": "😀 family 👨‍👩‍👧 end",
		"31": strings.Repeat("x", 31), "32": strings.Repeat("x", 32), "1024": strings.Repeat("y", 1024), "70000": strings.Repeat("z", 70000),
		"70000 mixed": "a" + strings.Repeat("😀中é", 17500) + "b"} {
		s.add("string", name, v)
	}
	s.add("bytes", "null", []byte(nil))
	for name, n := range map[string]int{"empty": 0, "15": 15, "1024": 1024, "100000": 100000} {
		s.add("bytes", name, blob(n))
	}
}

func (s *set) arrays() {
	s.add("booleans", "two", []bool{true, false})
	s.add("chars", "three", "a中z")
	s.add("chars", "empty", "")
	s.add("shorts", "three", []int16{1, -2, 32767})
	s.add("ints", "empty", []int32{})
	s.add("ints", "null", []int32(nil))
	s.add("ints", "ten", []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, -10})
	s.add("longs", "three", []int64{1, -2, math.MaxInt64})
	s.add("floats", "two", []float32{0.5, float32(1) / 3})
	s.add("doubles", "two", []float64{0.5, 1.0 / 3})
	s.add("strings", "empty", []string{})
	s.add("strings", "three", []string{"a", "", "中😀"})
	s.add("objects", "mixed", []any{"a", int32(1), int64(2), 2.5, true, nil, mia()})
	s.add("people", "two and null", []*Person{mia(), nil, tom()})
	s.add("grid", "ragged", [][]int32{{1}, {}, {2, 3}})
}

func (s *set) lists() {
	s.add("list", "null", []string(nil))
	s.add("list", "empty", []string{})
	s.add("list", "three", []string{"a", "b", "c"})
	s.add("list", "nine", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"})
	s.add("list", "Arrays.asList", []string{"x", "y"})
	s.add("list", "LinkedList", []string{"x", "y"})
	s.add("list", "emptyList", []string{})
	s.add("list", "singletonList", []string{"one"})
	s.add("list", "unmodifiableList", []string{"u", "v"})
	s.add("listOfLongs", "small", []int64{1, -8, 300, 1 << 40})
	s.add("listOfPeople", "two and null", []*Person{mia(), nil, tom()})
	s.add("listOfAnything", "mixed", []any{"a", int32(1), int64(2), 2.5, true, nil, mia(), ptr(Color("RED")), time.UnixMilli(1700000000123)})
	s.add("listOfAnything", "each type", []any{false, "中😀", []byte{1, 2}, hessian2.Decimal("1.50"), big.NewInt(7), uuid(), hessian2.LocalDate{Year: 2024, Month: 2, Day: 29},
		hessian2.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7}, *moment(), []any{"x", []any{}}, map[any]any{"k": int64(1)}, boss()})
	s.add("nested", "three", [][]string{{"a"}, {}, nil})
	s.add("listOfDates", "two", []time.Time{time.UnixMilli(0), time.UnixMilli(1700000000123)})
	s.add("listOfDecimals", "two", []hessian2.Decimal{"1.50", "-0.001"})
	s.add("listOfColors", "repeated", []Color{"RED", "BLUE", "RED"})
	s.add("collection", "two", []int32{1, 2})
	s.add("set", "empty", []string{})
	s.add("set", "three", []string{"a", "b", "c"})
}

func (s *set) maps() {
	s.add("map", "null", map[string]int32(nil))
	s.add("map", "empty", map[string]int32{})
	s.add("map", "two", map[string]int32{"a": 1, "中": -1})
	s.add("map", "TreeMap", map[string]int32{"t": 1, "u": 2})
	s.add("mapOfPeople", "two", map[int64]*Person{1: mia(), 1 << 40: tom()})
	s.add("deepMap", "one", map[string][]map[string]int64{"k": {{"n": 5}, {}}, "none": {}})
	s.add("mapByColor", "two", map[Color]int32{"RED": 1, "BLUE": 2})
	s.add("mapOfAnything", "mixed", map[any]any{"s": nil, int32(1): "int", int64(2): "long", true: []any{int32(1), "x"}, nil: mia()})
}

func mia() *Person {
	return &Person{Name: "Mia 中😀", Age: 30, ID: ptr(int64(1) << 33), Favourite: "GREEN", Tags: []string{"x", "y"}}
}

func tom() *Person { return &Person{Name: "Tom", Age: -1} }

func boss() *Manager {
	return &Manager{Person: Person{Name: "Boss", Age: 50}, Title: "CTO", Team: []*Person{mia(), tom()}}
}

func tree() *Node {
	root := &Node{Name: "root"}
	root.Parent = root
	for _, name := range []string{"left", "right"} {
		root.Children = append(root.Children, &Node{Name: name, Parent: root})
	}
	return root
}

func (s *set) classes() {
	s.add("person", "null", (*Person)(nil))
	s.add("person", "mia", mia())
	s.add("person", "sparse", tom())
	s.add("manager", "boss", boss())
	s.add("node", "cycle", tree())
	one := mia()
	s.add("twins", "same", &Twins{one, one})
	s.add("twins", "equal", &Twins{mia(), mia()})
	*s = append(*s, Sample{"evolving", "grown", &Evolving{Name: "v2", Size: 3},
		&Evolving{Name: "v2", GoOnly: map[string]*Person{"m": mia()}, Size: 3}})
	s.add("everything", "empty", &Everything{C: "\x00"})
	s.add("everything", "full", everything())
	s.add("floatField", "third", &Floating{1, float32(1) / 3, 2})
	s.add("color", "red", Color("RED"))
	s.add("color", "null", Color(""))
}

func everything() *Everything {
	n, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	return &Everything{Z: true, B: -1, S: 300, C: "中", I: 70000, J: 1 << 40, D: 1.0 / 3,
		BoxedZ: ptr(false), BoxedB: ptr(int8(1)), BoxedS: ptr(int16(2)), BoxedC: ptr("y"), BoxedI: ptr(int32(3)), BoxedJ: ptr(int64(4)),
		BoxedF: ptr(float32(0.5)), BoxedD: ptr(0.25), Text: ptr("中😀"), Bytes: []byte{1, 255}, Ints: []int32{1, -1}, Grid: [][]int64{{1}, {2, 3}},
		Strings: []string{"a", "b"}, People: []*Person{mia(), tom()}, List: []string{"l"}, Longs: []int64{1, 2}, Set: []int32{1, 2, 3},
		Map: map[string]int32{"k": 1}, ByColor: map[Color]int64{"BLUE": 9}, Person: mia(), Color: "RED", Date: ptr(time.UnixMilli(1700000000123)),
		LocalDate: &hessian2.LocalDate{Year: 2026, Month: 1, Day: 2}, LocalTime: &hessian2.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7},
		LocalDateTime: moment(), Instant: ptr(time.Unix(1700000000, 123456789)), Duration: ptr(90*time.Second + 5),
		Decimal: ptr(hessian2.Decimal("12.30")), Big: n, UUID: ptr(uuid()), Any: tom()}
}

func uuid() hessian2.UUID {
	return hessian2.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
}

func moment() *hessian2.LocalDateTime {
	return &hessian2.LocalDateTime{Date: hessian2.LocalDate{Year: 2026, Month: 1, Day: 2}, Time: hessian2.LocalTime{Hour: 3, Minute: 4, Second: 5, Nano: 6}}
}

func (s *set) times() {
	s.add("date", "epoch", time.UnixMilli(0))
	s.add("date", "millis", time.UnixMilli(1700000000123))
	s.add("date", "minute", time.UnixMilli(1700000040000))
	s.add("date", "1900", time.UnixMilli(-2208988800001))
	s.add("localDate", "leap", hessian2.LocalDate{Year: 2024, Month: 2, Day: 29})
	s.add("localTime", "nano", hessian2.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7})
	s.add("localDateTime", "both", *moment())
	s.add("instant", "nano", time.Unix(1700000000, 123456789))
	s.add("duration", "minute and a half", 90*time.Second+5)
	s.add("duration", "negative", -1500*time.Millisecond)
	s.add("decimal", "scale", hessian2.Decimal("12.30"))
	s.add("decimal", "exponent", hessian2.Decimal("1E+30"))
	s.add("bigInteger", "zero", new(big.Int))
	s.add("bigInteger", "small", big.NewInt(-255))
	s.add("bigInteger", "huge", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 300), big.NewInt(1)))
	s.add("uuid", "one", uuid())
}

func (s *set) anything() {
	for name, v := range map[string]any{"null": nil, "string": "text", "char": "c", "int": int32(5), "long": int64(5), "double": 2.5, "boolean": true,
		"bytes": []byte{1, 2, 3}, "list": []any{"a", int32(1)}, "map": map[any]any{"k": int64(1)}, "person": mia(), "manager": boss(),
		"color": ptr(Color("BLUE")), "date": time.UnixMilli(1700000000123), "localDate": hessian2.LocalDate{Year: 2024, Month: 2, Day: 29},
		"decimal": hessian2.Decimal("1.5"), "bigInteger": big.NewInt(7), "uuid": uuid()} {
		s.add("object", name, v)
	}
	// Other points in time come as what they are for Go; an interface is written as a Date.
	for _, name := range []string{"instant", "zoned", "offset", "timestamp", "calendar"} {
		s.add("object", name, time.UnixMilli(1700000000123))
	}
	s.add("object", "locale", &serialize.Object{Class: "com.alibaba.com.caucho.hessian.io.LocaleHandle", Fields: []serialize.Field{{Name: "value", Value: "zh_CN"}}})
	*s = append(*s, Sample{"object", "unknown class",
		&serialize.Object{Class: "com.ferry.interop.JavaOnly", Fields: []serialize.Field{{Name: "word", Value: "w"}, {Name: "number", Value: int64(7)}}},
		&GoOnly{Word: "w", Number: 7}})
}

// Same says whether two values are the same for a program that got one of them from the other side.
func Same(a, b any) bool {
	return same(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem(), map[[2]uintptr]bool{})
}

func same(a, b reflect.Value, seen map[[2]uintptr]bool) bool {
	if a.Type() != b.Type() {
		return false
	}
	switch x := a.Interface().(type) {
	case time.Time:
		return x.Equal(b.Interface().(time.Time))
	case *big.Int:
		y := b.Interface().(*big.Int)
		return x == y || x != nil && y != nil && x.Cmp(y) == 0
	case *serialize.Object:
		return sameObject(x, b.Interface().(*serialize.Object))
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Interface, reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		if a.Kind() == reflect.Pointer {
			key := [2]uintptr{a.Pointer(), b.Pointer()}
			if seen[key] {
				return true
			}
			seen[key] = true
		}
		return same(a.Elem(), b.Elem(), seen)
	case reflect.Slice, reflect.Array:
		if a.Kind() == reflect.Slice && a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i), seen) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		for it := a.MapRange(); it.Next(); {
			if v := b.MapIndex(it.Key()); !v.IsValid() || !same(it.Value(), v, seen) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i), seen) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}

// sameObject compares the fields by name: their order is the writer's own.
func sameObject(a, b *serialize.Object) bool {
	if a == nil || b == nil || a.Class != b.Class || len(a.Fields) != len(b.Fields) {
		return a == b
	}
	for _, f := range a.Fields {
		if v, ok := b.Field(f.Name); !ok || !Same(f.Value, v) {
			return false
		}
	}
	return true
}
