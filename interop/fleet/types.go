// Package fleet is Ferry's side of the interoperability matrix: the services of interop/java, written in Go for ferry gen,
// with the values that they exchange and an implementation.
package fleet

import (
	"context"
	"math/big"
	"time"

	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// Types has one method per Java type. Each takes the name of a sample and its value, and answers with the provider's own
// sample of that name.
//
//ferry:service com.ferry.interop.Types
type Types interface {
	ABoolean(ctx context.Context, sample string, v bool) (bool, error)
	AByte(ctx context.Context, sample string, v int8) (int8, error)
	AShort(ctx context.Context, sample string, v int16) (int16, error)
	//ferry:method aChar(java.lang.String,char) char
	AChar(ctx context.Context, sample string, v string) (string, error)
	AnInt(ctx context.Context, sample string, v int32) (int32, error)
	ALong(ctx context.Context, sample string, v int64) (int64, error)
	AFloat(ctx context.Context, sample string, v float32) (float32, error)
	ADouble(ctx context.Context, sample string, v float64) (float64, error)
	BoxedBoolean(ctx context.Context, sample string, v *bool) (*bool, error)
	BoxedByte(ctx context.Context, sample string, v *int8) (*int8, error)
	BoxedShort(ctx context.Context, sample string, v *int16) (*int16, error)
	//ferry:method boxedChar(java.lang.String,java.lang.Character) java.lang.Character
	BoxedChar(ctx context.Context, sample string, v any) (any, error)
	BoxedInt(ctx context.Context, sample string, v *int32) (*int32, error)
	BoxedLong(ctx context.Context, sample string, v *int64) (*int64, error)
	BoxedFloat(ctx context.Context, sample string, v *float32) (*float32, error)
	BoxedDouble(ctx context.Context, sample string, v *float64) (*float64, error)
	String(ctx context.Context, sample string, v string) (string, error)
	Bytes(ctx context.Context, sample string, v []byte) ([]byte, error)
	//ferry:method booleans(java.lang.String,boolean[]) boolean[]
	Booleans(ctx context.Context, sample string, v []bool) ([]bool, error)
	//ferry:method chars(java.lang.String,char[]) char[]
	Chars(ctx context.Context, sample string, v string) (string, error)
	//ferry:method shorts(java.lang.String,short[]) short[]
	Shorts(ctx context.Context, sample string, v []int16) ([]int16, error)
	//ferry:method ints(java.lang.String,int[]) int[]
	Ints(ctx context.Context, sample string, v []int32) ([]int32, error)
	//ferry:method longs(java.lang.String,long[]) long[]
	Longs(ctx context.Context, sample string, v []int64) ([]int64, error)
	//ferry:method floats(java.lang.String,float[]) float[]
	Floats(ctx context.Context, sample string, v []float32) ([]float32, error)
	//ferry:method doubles(java.lang.String,double[]) double[]
	Doubles(ctx context.Context, sample string, v []float64) ([]float64, error)
	//ferry:method strings(java.lang.String,java.lang.String[]) java.lang.String[]
	Strings(ctx context.Context, sample string, v []string) ([]string, error)
	//ferry:method objects(java.lang.String,java.lang.Object[]) java.lang.Object[]
	Objects(ctx context.Context, sample string, v []any) ([]any, error)
	//ferry:method people(java.lang.String,com.ferry.interop.Person[]) com.ferry.interop.Person[]
	People(ctx context.Context, sample string, v []*Person) ([]*Person, error)
	//ferry:method grid(java.lang.String,int[][]) int[][]
	Grid(ctx context.Context, sample string, v [][]int32) ([][]int32, error)
	List(ctx context.Context, sample string, v []string) ([]string, error)
	ListOfLongs(ctx context.Context, sample string, v []int64) ([]int64, error)
	ListOfPeople(ctx context.Context, sample string, v []*Person) ([]*Person, error)
	ListOfAnything(ctx context.Context, sample string, v []any) ([]any, error)
	Nested(ctx context.Context, sample string, v [][]string) ([][]string, error)
	ListOfDates(ctx context.Context, sample string, v []time.Time) ([]time.Time, error)
	ListOfDecimals(ctx context.Context, sample string, v []hessian2.Decimal) ([]hessian2.Decimal, error)
	ListOfColors(ctx context.Context, sample string, v []Color) ([]Color, error)
	//ferry:method collection(java.lang.String,java.util.Collection) java.util.Collection
	Collection(ctx context.Context, sample string, v []int32) ([]int32, error)
	//ferry:method set(java.lang.String,java.util.Set) java.util.Set
	Set(ctx context.Context, sample string, v []string) ([]string, error)
	Map(ctx context.Context, sample string, v map[string]int32) (map[string]int32, error)
	MapOfPeople(ctx context.Context, sample string, v map[int64]*Person) (map[int64]*Person, error)
	DeepMap(ctx context.Context, sample string, v map[string][]map[string]int64) (map[string][]map[string]int64, error)
	MapByColor(ctx context.Context, sample string, v map[Color]int32) (map[Color]int32, error)
	//ferry:method mapOfAnything(java.lang.String,java.util.Map) java.util.Map
	MapOfAnything(ctx context.Context, sample string, v any) (any, error)
	Person(ctx context.Context, sample string, v *Person) (*Person, error)
	Manager(ctx context.Context, sample string, v *Manager) (*Manager, error)
	Node(ctx context.Context, sample string, v *Node) (*Node, error)
	Twins(ctx context.Context, sample string, v *Twins) (*Twins, error)
	Evolving(ctx context.Context, sample string, v *Evolving) (*Evolving, error)
	Everything(ctx context.Context, sample string, v *Everything) (*Everything, error)
	FloatField(ctx context.Context, sample string, v *Floating) (*Floating, error)
	Color(ctx context.Context, sample string, v Color) (Color, error)
	Date(ctx context.Context, sample string, v time.Time) (time.Time, error)
	LocalDate(ctx context.Context, sample string, v hessian2.LocalDate) (hessian2.LocalDate, error)
	LocalTime(ctx context.Context, sample string, v hessian2.LocalTime) (hessian2.LocalTime, error)
	LocalDateTime(ctx context.Context, sample string, v hessian2.LocalDateTime) (hessian2.LocalDateTime, error)
	//ferry:method instant(java.lang.String,java.time.Instant) java.time.Instant
	Instant(ctx context.Context, sample string, v time.Time) (time.Time, error)
	//ferry:method duration(java.lang.String,java.time.Duration) java.time.Duration
	Duration(ctx context.Context, sample string, v time.Duration) (time.Duration, error)
	Decimal(ctx context.Context, sample string, v hessian2.Decimal) (hessian2.Decimal, error)
	BigInteger(ctx context.Context, sample string, v *big.Int) (*big.Int, error)
	UUID(ctx context.Context, sample string, v hessian2.UUID) (hessian2.UUID, error)
	Object(ctx context.Context, sample string, v any) (any, error)
}

// Color is an enum; the empty string is its null.
//
//ferry:class com.ferry.interop.Color
type Color string

// Person is a class with optional fields.
//
//ferry:class com.ferry.interop.Person
type Person struct {
	Name      string
	Age       int32
	ID        *int64
	Favourite Color
	Tags      []string
}

// Manager is a subclass of Person.
//
//ferry:class com.ferry.interop.Manager
type Manager struct {
	Person
	Title string
	Team  []*Person
}

// Node is a tree that knows its way up.
//
//ferry:class com.ferry.interop.Node
type Node struct {
	Name     string
	Parent   *Node
	Children []*Node
}

// Twins may be the same person.
//
//ferry:class com.ferry.interop.Twins
type Twins struct {
	Left, Right *Person
}

// Evolving has a field that Java does not know, and lacks one that it does.
//
//ferry:class com.ferry.interop.Evolving
type Evolving struct {
	Name   string
	GoOnly map[string]*Person
	Size   int32
}

// GoOnly is a class that Java does not know.
//
//ferry:class com.ferry.elsewhere.GoOnly
type GoOnly struct {
	Word   string
	Number int64
}

// Floating has a float between other fields.
//
//ferry:class com.ferry.interop.Floating
type Floating struct {
	Before int16
	F      float32
	After  int16
}

// Everything has a field of every type.
//
//ferry:class com.ferry.interop.Everything
type Everything struct {
	Z             bool
	B             int8
	S             int16
	C             string
	I             int32
	J             int64
	D             float64
	BoxedZ        *bool
	BoxedB        *int8
	BoxedS        *int16
	BoxedC        *string
	BoxedI        *int32
	BoxedJ        *int64
	BoxedF        *float32
	BoxedD        *float64
	Text          *string
	Bytes         []byte
	Ints          []int32   `java:",array"`
	Grid          [][]int64 `java:",array"`
	Strings       []string  `java:",array"`
	People        []*Person `java:",array"`
	List          []string
	Longs         []int64
	Set           []int32
	Map           map[string]int32
	ByColor       map[Color]int64
	Person        *Person
	Color         Color
	Date          *time.Time
	LocalDate     *hessian2.LocalDate
	LocalTime     *hessian2.LocalTime
	LocalDateTime *hessian2.LocalDateTime
	Instant       *time.Time     `java:",instant"`
	Duration      *time.Duration `java:",duration"`
	Decimal       *hessian2.Decimal
	Big           *big.Int
	UUID          *hessian2.UUID
	Any           any
}
