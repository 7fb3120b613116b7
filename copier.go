package ferry

import (
	"errors"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/url"
)

// copier is the filter.Copier of all types that a service may have: protobuf messages, and what hessian2 can write.
type copier struct{ x *Extensions }

// Key implements filter.Copier. A map has a different key each time its entries are written in another order, which costs
// a call and gives no wrong answer.
func (k copier) Key(args protocol.Row) ([]byte, error) {
	if args == nil || args.Len() == 0 {
		return nil, nil
	}
	return k.encode(args)
}

func (k copier) encode(row protocol.Row) ([]byte, error) {
	name := "hessian2"
	if message(row.At(0)) != nil {
		name = "protobuf"
	}
	s, err := k.x.Serializers.OpenNamed(extension.Env{}, name, &url.URL{})
	if err != nil {
		return nil, err
	}
	w := s.Writer(nil)
	defer w.Free()
	if err := w.Write(row); err != nil {
		return nil, err
	}
	return append([]byte(nil), w.Bytes()...), nil
}

// Copy implements filter.Copier.
func (k copier) Copy(to, from protocol.Row) (size int, err error) {
	b, err := k.encode(from)
	if err != nil {
		return 0, err
	}
	if to == nil || to.Len() != from.Len() {
		return 0, errors.New("ferry: the rows are of different methods")
	}
	for i := range from.Len() {
		dst, src := to.At(i), from.At(i)
		if reflect.TypeOf(dst) != reflect.TypeOf(src) {
			return 0, errors.New("ferry: the rows are of different types")
		}
		if m := message(src); m != nil {
			reflect.ValueOf(dst).Elem().Set(reflect.ValueOf(proto.Clone(m)))
			continue
		}
		serialize.Copy(dst, src)
	}
	return len(b), nil
}

// message returns the protobuf message that p, a pointer to a value, points to, or nil.
func message(p any) proto.Message {
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Pointer || v.Elem().IsNil() {
		return nil
	}
	m, _ := v.Elem().Interface().(proto.Message)
	return m
}
