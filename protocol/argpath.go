package protocol

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// An ArgPath leads to a value among a call's arguments: 0 is the first one, 0.orderId a field of it, 1.customer.id a field
// of a field. Fields go by their Go name, in capitals or small letters, so that orderId finds OrderID; map entries go by their key.
type ArgPath struct {
	text   string
	index  int
	fields []string
}

const longestArgPath = 256

// ParseArgPath reads a path.
func ParseArgPath(text string) (ArgPath, error) {
	first, rest, dotted := strings.Cut(text, ".")
	n, err := strconv.Atoi(first)
	if err != nil || n < 0 || n > 255 || len(text) > longestArgPath {
		return ArgPath{}, fmt.Errorf("protocol: argument path %q: want the number of an argument from 0, and fields behind dots: 0.orderId", text)
	}
	p := ArgPath{text: text, index: n}
	if dotted {
		p.fields = strings.Split(rest, ".")
	}
	for _, f := range p.fields {
		if f == "" {
			return ArgPath{}, fmt.Errorf("protocol: argument path %q: a field has no name", text)
		}
	}
	return p, nil
}

// String returns the path as it was parsed.
func (p ArgPath) String() string { return p.text }

// Index returns the number of the argument that the path begins at.
func (p ArgPath) Index() int { return p.index }

// Text returns the value at the path as text: strings as they are, numbers and booleans in their decimal form. A path that
// leads nowhere, or to null or something that is no scalar, is an error. For a string or number that is an argument itself
// it costs no reflection.
func (p ArgPath) Text(args Row) (string, error) {
	if args == nil || p.index >= args.Len() {
		return "", fmt.Errorf("protocol: argument path %s: there is no argument %d", p.text, p.index)
	}
	v := args.At(p.index)
	if len(p.fields) == 0 {
		switch v := v.(type) {
		case *string:
			return *v, nil
		case *int64:
			return strconv.FormatInt(*v, 10), nil
		case *int32:
			return strconv.FormatInt(int64(*v), 10), nil
		case *int:
			return strconv.Itoa(*v), nil
		}
	}
	at := reflect.ValueOf(v)
	for _, f := range p.fields {
		if at = field(settled(at), f); !at.IsValid() {
			return "", fmt.Errorf("protocol: argument path %s: %T has no %s, or it is null", p.text, v, f)
		}
	}
	text, ok := scalar(settled(at))
	if !ok {
		return "", fmt.Errorf("protocol: argument path %s: the value is null or neither text, number nor boolean", p.text)
	}
	return text, nil
}

// settled follows pointers and interfaces; of nil ones nothing valid is left.
func settled(v reflect.Value) reflect.Value {
	const most = 16
	for range most {
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			return v
		}
		v = v.Elem()
	}
	return reflect.Value{}
}

func field(v reflect.Value, name string) reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		t, found := v.Type(), -1
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() || !strings.EqualFold(f.Name, name) {
				continue
			}
			if found = i; f.Name == name {
				break
			}
		}
		if found >= 0 {
			return v.Field(found)
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			return v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		}
		if v.Type().Key().Kind() == reflect.Interface {
			return v.MapIndex(reflect.ValueOf(name))
		}
	}
	return reflect.Value{}
}

func scalar(v reflect.Value) (string, bool) {
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	}
	return "", false
}
