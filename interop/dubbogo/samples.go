package main

import (
	"math"
	"strconv"
	"strings"
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_util"
	gxbig "github.com/dubbogo/gost/math/big"
)

// A sample is one value of a method of com.ferry.interop.Types. Ferry and Java have the same list, written on their own.
type sample struct {
	method, name string
	value        any
	// java is the type that the method's parameter has in Java, where dubbo-go would name another for this value.
	java string
	// sends is what goes out where that differs from what comes in; nil means the same.
	sends any
}

func (s *sample) sent() any {
	if s.sends != nil {
		return s.sends
	}
	return s.value
}

// argument is what is sent, under the right type.
func (s *sample) argument() any {
	if s.java != "" {
		return &named{s.java, s.sent()}
	}
	return s.sent()
}

func ptr[T any](v T) *T { return &v }

// samples makes all values anew.
func samples() []*sample {
	var s set
	s.scalars()
	s.boxed()
	s.texts()
	s.arrays()
	s.lists()
	s.maps()
	s.classes()
	s.times()
	s.anything()
	return s
}

type set []*sample

func (s *set) add(method, name string, v any) { s.typed(method, name, "", v) }

func (s *set) typed(method, name, java string, v any) {
	*s = append(*s, &sample{method: method, name: name, java: java, value: v})
}

func (s *set) scalars() {
	s.add("aBoolean", "true", true)
	s.add("aBoolean", "false", false)
	s.add("aByte", "min", int8(math.MinInt8))
	s.add("aByte", "max", int8(math.MaxInt8))
	s.add("aShort", "min", int16(math.MinInt16))
	s.add("aShort", "max", int16(math.MaxInt16))
	s.typed("aChar", "ascii", "C", "x")
	s.typed("aChar", "chinese", "C", "中")
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
}

func (s *set) boxed() {
	s.typed("boxedBoolean", "true", "java.lang.Boolean", ptr(true))
	s.typed("boxedBoolean", "null", "java.lang.Boolean", (*bool)(nil))
	s.add("boxedByte", "value", ptr(int8(-1)))
	s.add("boxedByte", "null", (*int8)(nil))
	s.add("boxedShort", "value", ptr(int16(-300)))
	s.add("boxedShort", "null", (*int16)(nil))
	s.typed("boxedChar", "value", "java.lang.Character", "y")
	s.typed("boxedChar", "null", "java.lang.Character", nil)
	s.add("boxedInt", "value", ptr(int32(70000)))
	s.add("boxedInt", "null", (*int32)(nil))
	s.add("boxedLong", "value", ptr(int64(7)))
	s.add("boxedLong", "null", (*int64)(nil))
	s.add("boxedFloat", "value", ptr(float32(1.5)))
	s.add("boxedFloat", "null", (*float32)(nil))
	s.add("boxedDouble", "value", ptr(2.5))
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
	s.typed("bytes", "null", "[B", nil)
	for name, n := range map[string]int{"empty": 0, "15": 15, "1024": 1024, "100000": 100000} {
		s.add("bytes", name, blob(n))
	}
}

func (s *set) arrays() {
	s.add("booleans", "two", []bool{true, false})
	s.typed("chars", "three", "[C", "a中z")
	s.typed("chars", "empty", "[C", "")
	s.add("shorts", "three", []int16{1, -2, 32767})
	s.add("ints", "empty", []int32{})
	s.add("ints", "null", []int32(nil))
	s.add("ints", "ten", []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, -10})
	s.add("longs", "three", []int64{1, -2, math.MaxInt64})
	s.add("floats", "two", []float32{0.5, float32(1) / 3})
	s.add("doubles", "two", []float64{0.5, 1.0 / 3})
	s.add("strings", "empty", []string{})
	s.add("strings", "three", []string{"a", "", "中😀"})
	s.add("objects", "mixed", []hessian.Object{"a", int32(1), int64(2), 2.5, true, nil, mia()})
	s.typed("people", "two and null", "[Lcom.ferry.interop.Person;", []*Person{mia(), nil, tom()})
	s.typed("grid", "ragged", "[[I", [][]int32{{1}, {}, {2, 3}})
}

func (s *set) lists() {
	s.typed("list", "null", "java.util.List", []string(nil))
	s.add("list", "empty", []any{})
	s.add("list", "three", []any{"a", "b", "c"})
	for _, kind := range []string{"Arrays.asList", "LinkedList"} {
		s.add("list", kind, []any{"x", "y"})
	}
	s.add("list", "emptyList", []any{})
	s.add("list", "singletonList", []any{"one"})
	s.add("list", "unmodifiableList", []any{"u", "v"})
	s.add("list", "nine", []any{"1", "2", "3", "4", "5", "6", "7", "8", "9"})
	s.add("listOfLongs", "small", []any{int64(1), int64(-8), int64(300), int64(1) << 40})
	s.add("listOfPeople", "two and null", []any{mia(), nil, tom()})
	s.add("listOfAnything", "mixed", []any{"a", int32(1), int64(2), 2.5, true, nil, mia(), Red, time.UnixMilli(1700000000123)})
	s.add("listOfAnything", "each type", []any{false, "中😀", []byte{1, 2}, mustDecimal("1.50"), mustInteger("7"), uuid(), &java8_time.LocalDate{Year: 2024, Month: 2, Day: 29},
		&java8_time.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7}, moment(), []any{"x", []any{}}, map[any]any{"k": int64(1)}, boss()})
	s.add("nested", "three", []any{[]any{"a"}, []any{}, nil})
	s.add("listOfDates", "two", []any{time.UnixMilli(0), time.UnixMilli(1700000000123)})
	s.add("listOfDecimals", "two", []any{mustDecimal("1.50"), mustDecimal("-0.001")})
	s.add("listOfColors", "repeated", []any{Red, Blue, Red})
	s.typed("collection", "two", "java.util.Collection", []any{int32(1), int32(2)})
	s.typed("set", "empty", "java.util.Set", []any{})
	s.typed("set", "three", "java.util.Set", []any{"a", "b", "c"})
}

func (s *set) maps() {
	s.add("map", "null", map[string]int32(nil))
	s.add("map", "empty", map[string]int32{})
	s.add("map", "two", map[string]int32{"a": 1, "中": -1})
	s.add("map", "TreeMap", map[string]int32{"t": 1, "u": 2})
	s.add("mapOfPeople", "two", map[int64]*Person{1: mia(), 1 << 40: tom()})
	s.add("deepMap", "one", map[any]any{"k": []any{map[any]any{"n": int64(5)}, map[any]any{}}, "none": []any{}})
	s.add("mapByColor", "two", map[any]any{Red: int32(1), Blue: int32(2)})
	s.add("mapOfAnything", "mixed", map[any]any{"s": nil, int32(1): "int", int64(2): "long", true: []any{int32(1), "x"}, nil: mia()})
}

func mia() *Person {
	return &Person{Name: "Mia 中😀", Age: 30, ID: ptr(int64(1) << 33), Favourite: ptr(Green), Tags: []string{"x", "y"}}
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
	*s = append(*s, &sample{method: "evolving", name: "grown", value: &Evolving{Name: "v2", Size: 3},
		sends: &Evolving{Name: "v2", DubboGoOnly: map[string]*Person{"m": mia()}, Size: 3}})
	s.add("everything", "empty", &Everything{C: "\x00"})
	s.add("everything", "full", everything())
	s.add("floatField", "third", &Floating{1, float32(1) / 3, 2})
	s.add("color", "red", Red)
	s.typed("color", "null", "com.ferry.interop.Color", nil)
}

func everything() *Everything {
	return &Everything{Z: true, B: -1, S: 300, C: "中", I: 70000, J: 1 << 40, D: 1.0 / 3,
		BoxedZ: ptr(false), BoxedB: ptr(int8(1)), BoxedS: ptr(int16(2)), BoxedC: ptr("y"), BoxedI: ptr(int32(3)), BoxedJ: ptr(int64(4)),
		BoxedF: ptr(float32(0.5)), BoxedD: ptr(0.25), Text: ptr("中😀"), Bytes: []byte{1, 255}, Ints: []int32{1, -1}, Grid: [][]int64{{1}, {2, 3}},
		Strings: []string{"a", "b"}, People: []*Person{mia(), tom()}, List: []string{"l"}, Longs: []int64{1, 2}, Set: []int32{1, 2, 3},
		Map: map[string]int32{"k": 1}, ByColor: map[any]any{Blue: int64(9)}, Person: mia(), Color: ptr(Red), Date: ptr(time.UnixMilli(1700000000123)),
		LocalDate: &java8_time.LocalDate{Year: 2026, Month: 1, Day: 2}, LocalTime: &java8_time.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7},
		LocalDateTime: moment(), Instant: &java8_time.Instant{Seconds: 1700000000, Nanos: 123456789}, Duration: &java8_time.Duration{Seconds: 90, Nanos: 5},
		Decimal: mustDecimal("12.30"), Big: mustInteger("-123456789012345678901234567890"), UUID: uuid(), Any: tom()}
}

func mustDecimal(text string) *gxbig.Decimal {
	d, err := gxbig.NewDecFromString(text)
	if err != nil {
		panic(err) // a literal of this file
	}
	return d
}

func mustInteger(text string) *gxbig.Integer {
	n := new(gxbig.Integer)
	if err := n.FromString(text); err != nil {
		panic(err) // a literal of this file
	}
	return n
}

func uuid() *java_util.UUID { return &java_util.UUID{Value: "01020304-0506-0708-090a-0b0c0d0e0f10"} }

func moment() *java8_time.LocalDateTime {
	return &java8_time.LocalDateTime{Date: java8_time.LocalDate{Year: 2026, Month: 1, Day: 2}, Time: java8_time.LocalTime{Hour: 3, Minute: 4, Second: 5, Nano: 6}}
}

// times name the classes that they stand for: dubbo-go would ask for a method that takes the class on the wire.
func (s *set) times() {
	s.add("date", "epoch", time.UnixMilli(0))
	s.add("date", "millis", time.UnixMilli(1700000000123))
	s.add("date", "minute", time.UnixMilli(1700000040000))
	s.add("date", "1900", time.UnixMilli(-2208988800001))
	s.typed("localDate", "leap", "java.time.LocalDate", &java8_time.LocalDate{Year: 2024, Month: 2, Day: 29})
	s.typed("localTime", "nano", "java.time.LocalTime", &java8_time.LocalTime{Hour: 23, Minute: 59, Second: 58, Nano: 7})
	s.typed("localDateTime", "both", "java.time.LocalDateTime", moment())
	s.typed("instant", "nano", "java.time.Instant", &java8_time.Instant{Seconds: 1700000000, Nanos: 123456789})
	s.typed("duration", "minute and a half", "java.time.Duration", &java8_time.Duration{Seconds: 90, Nanos: 5})
	s.typed("duration", "negative", "java.time.Duration", &java8_time.Duration{Seconds: -2, Nanos: 500000000})
	s.add("decimal", "scale", mustDecimal("12.30"))
	s.add("bigInteger", "zero", mustInteger("0"))
	s.add("bigInteger", "small", mustInteger("-255"))
	s.add("bigInteger", "huge", mustInteger("2037035976334486086268445688409378161051468393665936250636140449354381299763336706183397375"))
	s.add("uuid", "one", uuid())
}

func (s *set) anything() {
	for name, v := range map[string]any{"null": nil, "string": "text", "char": "c", "int": int32(5), "long": int64(5), "double": 2.5, "boolean": true,
		"bytes": []byte{1, 2, 3}, "list": []any{"a", int32(1)}, "map": map[any]any{"k": int64(1)}, "person": mia(), "manager": boss(),
		"color": Blue, "date": time.UnixMilli(1700000000123), "localDate": &java8_time.LocalDate{Year: 2024, Month: 2, Day: 29},
		"decimal": mustDecimal("1.5"), "bigInteger": mustInteger("7"), "uuid": uuid()} {
		s.typed("object", name, "java.lang.Object", v)
	}
	at := time.UnixMilli(1700000000123)
	clock := java8_time.LocalDateTime{Date: java8_time.LocalDate{Year: 2023, Month: 11, Day: 14}, Time: java8_time.LocalTime{Hour: 22, Minute: 13, Second: 20, Nano: 123e6}}
	for name, v := range map[string]any{"instant": &java8_time.Instant{Seconds: 1700000000, Nanos: 123e6}, "timestamp": at, "calendar": at,
		"zoned": &java8_time.ZonedDateTime{DateTime: clock, ZoneId: "Z"}, "offset": &java8_time.OffsetDateTime{DateTime: clock}} {
		*s = append(*s, &sample{"object", name, at, "java.lang.Object", v})
	}
	s.typed("object", "locale", "java.lang.Object", &java_util.LocaleHandle{Value: "zh_CN"})
	*s = append(*s, &sample{"object", "unknown class", map[string]any{"_class": "com.ferry.elsewhere.GoOnly", "word": "w", "number": int64(7)},
		"java.lang.Object", &DubboGoOnly{Word: "w", Number: 7}})
}
