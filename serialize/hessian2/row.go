package hessian2

import "github.com/ferryrpc/ferry/serialize"

// row writes the values of a Row one after another.
func (w *Writer) row(v serialize.Row) error {
	arrays, _ := v.(serialize.Arrays)
	for i := range v.Len() {
		at, class := v.At(i), ""
		if arrays != nil {
			class = arrays.Array(i)
		}
		var err error
		switch v := at.(type) {
		case *[]string:
			w.strings(array(class), *v)
		case *[]any:
			err = w.values(array(class), *v)
		default:
			err = w.Value(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// array is what List calls an array of elem; "" stays a list.
func array(elem string) string {
	if elem == "" {
		return ""
	}
	return "[" + elem
}

// strings writes a list or an array of strings.
func (w *Writer) strings(class string, s []string) {
	if s == nil {
		w.Null()
		return
	}
	w.List(class, len(s))
	for _, e := range s {
		w.String(e)
	}
}

// values writes a list or an array of anything.
func (w *Writer) values(class string, list []any) error {
	if list == nil {
		w.Null()
		return nil
	}
	if len(list) > 0 && w.seenSlice(&list[0], len(list)) {
		return nil
	}
	w.List(class, len(list))
	for _, e := range list {
		if err := w.Value(e); err != nil {
			return err
		}
	}
	return nil
}
