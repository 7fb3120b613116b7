// Package tsv is a format of text lines for flat values: serialization=tsv. A value is a line, its fields are separated
// by tabs, and the first field is the kind:
//
//	n                          null
//	b    true                  bool
//	i    -42                   integers of all widths
//	f    1.5                   floats
//	s    some\ttext            string; \t \n \\ stand for tab, line feed and backslash
//	d    AAECw==               bytes in base64
//	t    1700000000123         time, milliseconds since 1970
//	m    key    value    …     map of strings
//	x    class    message      exception
//
// Structs, lists and other maps have no form; a service whose arguments are scalars needs none.
package tsv

import (
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// ID is the number of the format in a frame of the protocol dubbo. It has five bits, and Dubbo itself does not use 29.
const ID byte = 29

// The kinds of values.
const (
	null    = 'n'
	boolean = 'b'
	integer = 'i'
	float   = 'f'
	text    = 's'
	data    = 'd'
	instant = 't'
	mapping = 'm'
	thrown  = 'x'
)

// A Serializer is the format.
type Serializer struct{}

// New makes the format.
func New(extension.Env, *url.URL) (serialize.Serializer, error) { return Serializer{}, nil }

// ID implements serialize.Serializer.
func (Serializer) ID() byte { return ID }

// Writer implements serialize.Serializer.
func (Serializer) Writer(dst []byte) serialize.Writer { return &writer{dst} }

// Reader implements serialize.Serializer.
func (Serializer) Reader(src []byte, l serialize.Limits) serialize.Reader {
	l = l.WithDefaults()
	return &reader{src: src, limits: l, elements: l.Elements, bytes: l.Bytes}
}
