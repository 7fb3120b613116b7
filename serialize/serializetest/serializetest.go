// Package serializetest is the conformance suite of serialize.Serializer: every format runs it in its own tests.
//
//	func TestConformance(t *testing.T) {
//		serializetest.Run(t, New(serializetest.Types()), serializetest.Options{})
//	}
//
// The suite speaks of the contract only: what is written comes back equal, whatever the bytes of a format look like;
// nothing that a Reader returns aliases its input; damaged input is an error that matches one of the sentinels, costs no
// more memory than the Limits allow and never panics; one Serializer serves any number of goroutines. What a format
// cannot carry is said in Options; what only one format has (its own values, its own hostile inputs) is handed in there.
package serializetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// Options says what a format can carry. The zero value demands everything.
type Options struct {
	// NoStructs means that Go structs, slices, maps and interfaces have no form in the format, only scalars, strings,
	// byte slices, pointers to these and the format's own messages.
	NoStructs bool
	// NoTime means that time.Time has no form of its own.
	NoTime bool
	// NoTypedErrors means that the fields of *Shortage do not travel with an Exception.
	NoTypedErrors bool
	// Values are further values of the format, checked like the suite's own.
	Values []Value
	// Hostile are inputs that declare far more than they hold. Reading them must fail, or cost little.
	Hostile []Hostile
}

// A Value is a value that must survive a round trip.
type Value struct {
	Name string
	// In points to the value that is written.
	In any
	// Out returns a pointer to an empty place of the same type.
	Out func() any
	// Equal compares In with what Out points to after reading; nil means require.Equal.
	Equal func(t *testing.T, in, out any)
}

// Hostile is an input with the place that it is read into.
type Hostile struct {
	Name  string
	Input []byte
	Out   func() any
}

// Shortage is the typed error of the suite, registered as ShortageClass in Types.
type Shortage struct {
	Item    string
	Missing int32
}

// Error implements error.
func (s *Shortage) Error() string { return "short of " + s.Item }

// ShortageClass is the class name of Shortage.
const ShortageClass = "com.example.ShortageException"

// Order, Line and Person are the structs of the suite, registered as com.example.Order, Line and Person in Types.
type Order struct {
	ID     int64
	Number int32
	Name   string
	Price  float64
	Paid   bool
	Data   []byte
	Tags   []string
	Lines  []Line
	Parts  []*Line
	Owner  *Person
	Notes  map[string]string
	Stock  map[string]Line
}

// Line is one line of an Order.
type Line struct {
	Item  string
	Count int32
}

// Person owns an Order. Friend nests it.
type Person struct {
	Name   string
	Age    *int32
	Friend *Person
}

// Types returns a table with the classes of the suite.
func Types() *serialize.Types {
	types := new(serialize.Types)
	_ = register(types) // Run checks it
	return types
}

func register(types *serialize.Types) error {
	return errors.Join(
		types.Add(ShortageClass, Shortage{}),
		types.Add("com.example.Order", Order{}),
		types.Add("com.example.Line", Line{}),
		types.Add("com.example.Person", Person{}),
	)
}

// NewOrder returns an order with every field set.
func NewOrder() *Order {
	age := int32(42)
	return &Order{
		ID: 1 << 40, Number: -7, Name: "订单 № 1 🚢", Price: 12.25, Paid: true, Data: []byte{0, 1, 0xff},
		Tags: []string{"a", "", "丙"}, Lines: []Line{{"bolt", 3}, {"nut", 0}}, Parts: []*Line{{"gear", 1}, nil},
		Owner: &Person{Name: "Ann", Age: &age, Friend: &Person{Name: "Bob"}},
		Notes: map[string]string{"k": "v", "": "empty"}, Stock: map[string]Line{"x": {"axle", 9}},
	}
}

// Run checks the Serializer, which must have been made with Types, against the contract.
func Run(t *testing.T, s serialize.Serializer, o Options) {
	require.NoError(t, register(new(serialize.Types)))
	c := &suite{s: s, o: o}
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Prefix", c.prefix}, {"Pass", c.pass}, {"Strings", c.strings}, {"InvalidUTF8", c.invalidUTF8}, {"Values", c.values},
		{"Reuse", c.reuse}, {"Null", c.null}, {"Skip", c.skip}, {"Any", c.any}, {"Maps", c.maps}, {"Raw", c.raw}, {"Rest", c.rest},
		{"Exceptions", c.exceptions}, {"Bodies", c.bodies}, {"Unsupported", c.unsupported}, {"NoAlias", c.noAlias},
		{"Truncation", c.truncation}, {"Mutation", c.mutation}, {"Hostile", c.hostile}, {"Limits", c.limits},
		{"Concurrency", c.concurrency},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct {
	s serialize.Serializer
	o Options
}

// write returns the bytes of a body made by f.
func (c *suite) write(t *testing.T, f func(w serialize.Writer) error) []byte {
	t.Helper()
	w := c.s.Writer(nil)
	defer w.Free()
	require.NoError(t, f(w))
	return w.Bytes()
}

// body returns the bytes of a body with the values that vs point to.
func (c *suite) body(t *testing.T, vs ...any) []byte {
	t.Helper()
	return c.write(t, func(w serialize.Writer) error { return w.Write(serialize.Values(vs)) })
}

// read calls f with a Reader of src.
func (c *suite) read(src []byte, f func(r serialize.Reader) error) error {
	r := c.s.Reader(src, serialize.Limits{})
	defer r.Free()
	return f(r)
}

// all returns the values that the format carries.
func (c *suite) all() []Value {
	vs := scalars()
	if !c.o.NoTime {
		vs = append(vs, times()...)
	}
	if !c.o.NoStructs {
		vs = append(vs, composites()...)
	}
	return append(vs, c.o.Values...)
}

// ptr returns a pointer to a copy of v.
func ptr[T any](v T) *T { return &v }

// value makes a Value of v.
func value[T any](name string, v T) Value {
	return Value{Name: name, In: &v, Out: func() any { return new(T) }}
}

// sameTime compares times as instants: a wire knows no zones.
func sameTime(t *testing.T, in, out any) {
	t.Helper()
	a, b := in.(*time.Time), out.(*time.Time)
	require.True(t, a.Equal(*b), "wrote %v, read %v", a, b)
}

// known says whether err is an error that a Reader may report.
func known(err error) bool {
	return errors.Is(err, serialize.ErrTruncated) || errors.Is(err, serialize.ErrMalformed) ||
		errors.Is(err, serialize.ErrLimit) || errors.Is(err, serialize.ErrUnsupported)
}
