package serialize

import "fmt"

// Convert writes the values of one Row and reads them into another: the way from generic values (maps, lists, scalars)
// to typed ones and back, by the rules of the format.
func Convert(s Serializer, from, to Row, l Limits) error {
	w := s.Writer(nil)
	err := w.Write(from)
	b := w.Bytes()
	w.Free()
	if err != nil {
		return err
	}
	r := s.Reader(b, l)
	defer r.Free()
	return r.Read(to)
}

// Untyped is implemented by formats that make Go values of registered classes. Its result knows none, so that every
// object read for an interface is an *Object.
type Untyped interface{ Untyped() Serializer }

// Plain returns s without its registered classes, if it can do without.
func Plain(s Serializer) Serializer {
	if u, ok := s.(Untyped); ok {
		return u.Untyped()
	}
	return s
}

// Generic returns the one value of a Row as a generic call wants it: objects as maps, whether or not s has a Go type for
// their class. plain is Plain(s).
func Generic(s, plain Serializer, from Row, l Limits) (any, error) {
	w := s.Writer(nil)
	err := w.Write(from)
	b := w.Bytes()
	w.Free()
	if err != nil {
		return nil, err
	}
	r := plain.Reader(b, l)
	defer r.Free()
	var v any
	if err := r.Read(&v); err != nil {
		return nil, err
	}
	enums, _ := s.(Enums)
	return generalize(v, enums, Limits{}.WithDefaults().Depth)
}

// Enums is implemented by formats in which an enum constant is an object: it says whether a registered class is an enum,
// which a generic call shows as its name.
type Enums interface{ Enum(class string) bool }

// Generalize turns objects into maps which name their class under "class", as Dubbo does for generic calls (PojoUtils).
// It goes as deep as the default Limits allow and breaks cycles there.
func Generalize(v any) (any, error) {
	return generalize(v, nil, Limits{}.WithDefaults().Depth)
}

func generalize(v any, enums Enums, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("%w: value is nested too deep, or contains itself", ErrLimit)
	}
	var err error
	switch v := v.(type) {
	case *Object:
		if name, ok := v.Field("name"); ok && len(v.Fields) == 1 && enums != nil && enums.Enum(v.Class) {
			return name, nil
		}
		m := make(map[any]any, len(v.Fields)+1)
		m["class"] = v.Class
		for _, f := range v.Fields {
			if m[f.Name], err = generalize(f.Value, enums, depth-1); err != nil {
				return nil, err
			}
		}
		return m, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			if out[i], err = generalize(v[i], enums, depth-1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[any]any:
		out := make(map[any]any, len(v))
		for k, x := range v {
			if out[k], err = generalize(x, enums, depth-1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if out[k], err = generalize(x, enums, depth-1); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}
