package hessian2

import (
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// The Go sides of the classes of the vectors, read and written by reflection.

type user struct {
	ID   *int64
	Name string
	Age  int32
}

func (user) JavaClassName() string { return "com.example.User" }

type address struct {
	City string
	Zip  *int32
}

func (address) JavaClassName() string { return "com.example.Address" }

type person struct {
	Name    string
	Address *address
	Tags    []string `java:"tags,array"`
	Attrs   map[string]string
	Friend  *person
	Active  bool
	Score   float64
	Born    time.Time
	Avatar  []byte
}

func (person) JavaClassName() string { return "com.example.Person" }

type node struct {
	Value int32
	Next  *node
}

func (node) JavaClassName() string { return "com.example.Node" }

type color string

func (color) JavaClassName() string { return "com.example.Color" }

type badUser struct {
	ID   int64  `java:"iD"`
	URL  string `java:"uRL"`
	Name string
}

func (badUser) JavaClassName() string { return "com.example.BadUser" }

type numbered struct{ V int32 }

func ptr[T any](v T) *T { return &v }

// testTypes registers the classes of the vectors.
func testTypes() *serialize.Types {
	t := &serialize.Types{}
	for class, sample := range map[string]any{
		"com.example.User": user{}, "com.example.Address": address{}, "com.example.Person": person{}, "com.example.Node": node{},
		"com.example.Color": color(""), "com.example.BadUser": badUser{}, "com.example.C16": numbered{},
	} {
		if err := t.Add(class, sample); err != nil {
			panic(err)
		}
	}
	return t
}

// encode writes one value with a fresh Writer.
func encode(s *Serializer, v any) ([]byte, error) {
	w := s.Writer(nil)
	defer w.Free()
	err := w.Write(v)
	return w.Bytes(), err
}

// decode reads one value into v and says how many bytes were left.
func decode(s *Serializer, b []byte, v any) (int, error) {
	r := s.Reader(b, serialize.Limits{})
	defer r.Free()
	err := r.Read(v)
	return r.Rest(), err
}
