package gentest

import (
	"fmt"
	"math/big"
	"time"

	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// State is a named number.
type State int32

// Color is an enum of Java.
//
//ferry:class com.example.shop.Color
type Color string

// Level is an enum of Java that is a number here.
//
//ferry:class com.example.shop.Level
type Level uint8

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(levels[l%3]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levels {
		if name == string(text) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("gentest: no level %q", text)
}

var levels = [3]string{"LOW", "MIDDLE", "HIGH"}

// Labels is a named map.
type Labels map[string]string

// Scalars has a field of each scalar type and of each pointer to one.
type Scalars struct {
	Bool    bool
	Int8    int8
	Int16   int16
	Int32   int32
	Int     int
	Int64   int64
	Float32 float32
	Float64 float64
	String  string
	PBool   *bool
	PInt32  *int32
	PInt64  *int64
	PFloat  *float64
	PString *string
}

// Base is embedded in User and Order: a superclass in Java.
type Base struct {
	ID        int64
	CreatedAt time.Time
}

// User is a class with a name of its own.
//
//ferry:class com.example.accounts.User
type User struct {
	Base
	Name    string
	Email   string `java:"mail" msgpack:"mail,omitempty"`
	Tags    []string
	Friends []*User
	Secret  string `java:"-" msgpack:"-"`
	_       []byte // not exported, so it stays at home
}

// Order holds everything that a field can be.
type Order struct {
	Base
	URLPath  string
	State    State
	Buyer    *User
	Owner    User
	Lines    []Line
	ByName   map[string]*Line
	Scores   map[int32][]float64
	Labels   Labels
	Note     any
	Raw      []byte
	Total    *big.Int
	Shipped  *time.Time
	Duration time.Duration
	Weights  []float32
	Flags    []bool
	Nested   [][]int32
}

// Line is a struct that stands in slices by value.
type Line struct {
	Product  string
	Quantity int32
	Price    float64
}

// Event is an argument by value.
type Event struct {
	Name string
	At   time.Time
	Attr map[string]any
}

// Node is a struct that leads to itself.
type Node struct {
	Name     string
	Parent   *Node
	Children []*Node
}

// OutOfStock is an error that keeps its type on the way.
//
//ferry:error com.example.shop.OutOfStockException
type OutOfStock struct {
	Message string `java:"detailMessage"`
	Product string
	Left    int32
}

// Error says what is missing.
func (e *OutOfStock) Error() string { return e.Message }

// Audit is embedded by pointer.
type Audit struct {
	By string
	At time.Time
}

// Exotic has the rarer types and every tag option.
type Exotic struct {
	*Audit
	U8       uint8
	U16      uint16
	U32      uint32
	U64      uint64
	U        uint
	Color    Color
	Colors   []Color
	Level    Level
	ByColor  map[Color]Level
	Day      time.Time     `java:"day,localdate"`
	Clock    time.Time     `java:",localtime"`
	Moment   *time.Time    `java:",localdatetime"`
	Instant  time.Time     `java:",instant"`
	Took     time.Duration `java:",duration"`
	Price    string        `java:",decimal"`
	Rate     *big.Rat      `java:",decimal"`
	Amount   hessian2.Decimal
	Key      [16]byte         `java:",uuid"`
	Names    []string         `java:",array"`
	Counts   []int32          `java:",array"`
	Grid     [][]int64        `java:",array"`
	Users    []*User          `java:",array"`
	Set      []string         `java:",java.util.HashSet"`
	Sorted   map[string]int64 `java:",java.util.TreeMap"`
	Days     []time.Time      `java:",localdate"`
	Fixed    [3]int32
	Empty    *struct{} `java:"-" msgpack:"-"`
	Any      []any
	Anys     map[string]any
	PUint    *uint16
	Skip     chan int  `java:"-" msgpack:"-" json:"-"`
	Omit     string    `msgpack:"omit,omitempty"`
	OmitN    int64     `msgpack:",omitempty"`
	OmitList []int64   `msgpack:",omitempty"`
	OmitAt   time.Time `msgpack:",omitempty"`
}
