package hessian2

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/serialize"
)

// options is what a struct tag java:"name,option,…" says besides the name: array, the class of a collection or map, and
// the Java form of a value.
type options struct {
	array bool
	class string // of a list or map: java.util.HashSet, [com.example.User
	form  string
}

// parseTag splits the tag of a field. The name "-" means that the field does not exist for Java.
func parseTag(f reflect.StructField) (name string, opt options, err error) {
	parts := strings.Split(f.Tag.Get("java"), ",")
	if name = parts[0]; name == "" {
		name = FieldName(f.Name)
	}
	for _, o := range parts[1:] {
		switch {
		case o == "array":
			opt.array = true
		case slices.Contains([]string{"date", "localdate", "localtime", "localdatetime", "instant", "duration", "decimal", "uuid"}, o):
			opt.form = o
		case strings.ContainsAny(o, ".["):
			opt.class = o
		default:
			return "", opt, fmt.Errorf("hessian2: field %s has the unknown tag option %q: %w", f.Name, o, serialize.ErrUnsupported)
		}
	}
	return name, opt, nil
}

// structPlan is the flat list of fields of a struct type, its embedded structs included.
type structPlan struct {
	class  *Class
	fields []fieldPlan
}

type fieldPlan struct {
	name  string
	index []int
	plan  *plan
}

// fields lists the fields of t. Of several with one name the one that is nested least counts, as in Go.
func (s *Serializer) fields(t reflect.Type, above []reflect.Type) ([]fieldPlan, error) {
	if slices.Contains(above, t) {
		return nil, nil // a struct that embeds a pointer to itself
	}
	above = append(slices.Clip(above), t)
	var out []fieldPlan
	for i := range t.NumField() {
		f := t.Field(i)
		name, opt, err := parseTag(f)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		et := f.Type
		if et.Kind() == reflect.Pointer && f.IsExported() {
			et = et.Elem()
		}
		switch {
		case name == "-":
		case f.Anonymous && et.Kind() == reflect.Struct && f.Tag.Get("java") == "":
			inner, err := s.fields(et, above)
			if err != nil {
				return nil, err
			}
			for _, g := range inner {
				g.index = append([]int{i}, g.index...)
				out = append(out, g)
			}
		case f.IsExported():
			out = append(out, fieldPlan{name, []int{i}, s.plan(f.Type, opt)})
		}
	}
	return visible(out), nil
}

// visible drops the fields that are hidden by one with the same name nearer to the top.
func visible(fields []fieldPlan) []fieldPlan {
	return slices.DeleteFunc(slices.Clone(fields), func(f fieldPlan) bool {
		i := slices.IndexFunc(fields, func(g fieldPlan) bool {
			return g.name == f.name && (len(g.index) < len(f.index) || len(g.index) == len(f.index) && slices.Compare(g.index, f.index) < 0)
		})
		return i >= 0
	})
}

// write writes the field of v; a field of an embedded struct that is not there is a null.
func (f *fieldPlan) write(w *Writer, v reflect.Value) error {
	if len(f.index) == 1 {
		return f.plan.write(w, v.Field(f.index[0]))
	}
	v, err := v.FieldByIndexErr(f.index)
	if err != nil {
		w.Null()
		return nil
	}
	return f.plan.write(w, v)
}

// read reads the field of v and makes the embedded structs on the way to it.
func (f *fieldPlan) read(r *Reader, v reflect.Value) {
	for i, n := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(n)
	}
	f.plan.read(r, v)
}

// structCodec writes structs as objects and reads them from objects or maps.
func (s *Serializer) structCodec(t reflect.Type) (codec, error) {
	fields, err := s.fields(t, nil)
	if err != nil {
		return codec{}, err
	}
	name := s.className(t)
	if name == "" {
		name = t.String()
	}
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	p := &structPlan{class: NewClass(name, names...), fields: fields}
	return codec{p.write, p.read}, nil
}

func (p *structPlan) write(w *Writer, v reflect.Value) error {
	if err := w.nest(v.Type()); err != nil {
		return err
	}
	w.Object(p.class)
	for i := range p.fields {
		if err := p.fields[i].write(w, v); err != nil {
			return fmt.Errorf("%s.%s: %w", p.class.Name, p.fields[i].name, err)
		}
	}
	w.depth--
	return nil
}

func (p *structPlan) read(r *Reader, v reflect.Value) {
	at := r.pos
	if b, ok := r.tag("object"); ok && b == tagRef {
		i, ok := r.refNumber()
		if !ok {
			return
		}
		r.pos, at = at, r.slots[i].off
	}
	if at < len(r.src) && (r.src[at] == tagMap || r.src[at] == tagMapTyped) {
		p.readMap(r, v)
		return
	}
	fields, ok := r.Object(p.class)
	for _, f := range fields {
		if r.err != nil {
			return
		}
		if f < 0 {
			r.Skip()
		} else {
			p.fields[f].read(r, v)
		}
	}
	if ok {
		r.EndObject()
	}
}

// readMap reads a struct from a map of field names, which is what a Java peer without the class sends.
func (p *structPlan) readMap(r *Reader, v reflect.Value) {
	if !r.Map() {
		return
	}
	for r.MoreEntries() {
		i := -1
		if b, ok := r.tag("map"); ok && isString(b) {
			i = int(p.class.index(r.rawString()))
		} else {
			r.Skip()
		}
		if i < 0 {
			r.Skip()
		} else {
			p.fields[i].read(r, v)
		}
	}
}

// formCodec is for a value whose tag names its Java form.
func formCodec(t reflect.Type, opt options) (codec, error) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		switch opt.form {
		case "date":
			return codecOf((*Writer).Date, (*Reader).Date), nil
		case "localdate":
			return codecOf((*Writer).LocalDate, (*Reader).Date), nil
		case "localtime":
			return codecOf((*Writer).LocalTime, (*Reader).Date), nil
		case "localdatetime":
			return codecOf((*Writer).LocalDateTime, (*Reader).Date), nil
		case "instant":
			return codecOf((*Writer).Instant, (*Reader).Date), nil
		}
	case opt.form == "duration" && t == reflect.TypeFor[time.Duration]():
		return codecOf((*Writer).Duration, (*Reader).Duration), nil
	case opt.form == "uuid" && t.Kind() == reflect.Array && t.Len() == 16 && t.Elem().Kind() == reflect.Uint8:
		return codec{
			func(w *Writer, v reflect.Value) error {
				w.UUID(v.Convert(reflect.TypeFor[UUID]()).Interface().(UUID))
				return nil
			},
			func(r *Reader, v reflect.Value) { v.Set(reflect.ValueOf(r.UUID()).Convert(t)) },
		}, nil
	case opt.form == "decimal" && t == reflect.TypeFor[big.Rat]():
		return codec{writeRat, readRat}, nil
	case opt.form == "decimal" && t.Kind() == reflect.String:
		return codec{
			func(w *Writer, v reflect.Value) error { w.Decimal(v.String()); return nil },
			func(r *Reader, v reflect.Value) { v.SetString(r.Decimal()) },
		}, nil
	case opt.form == "decimal":
		if c, err := textCodec(t, (*Writer).Decimal, (*Reader).Decimal); err == nil {
			return c, nil
		}
	}
	return codec{}, fmt.Errorf("hessian2: a %v cannot be a %s: %w", t, opt.form, serialize.ErrUnsupported)
}

// writeRat writes a fraction that has a finite number of decimals.
func writeRat(w *Writer, v reflect.Value) error {
	x := addressable(v).Addr().Interface().(*big.Rat)
	digits, exact := x.FloatPrec()
	if !exact {
		return fmt.Errorf("hessian2: write %s as a decimal: %w", x.RatString(), serialize.ErrUnsupported)
	}
	w.Decimal(x.FloatString(digits))
	return nil
}

// writeBig and readBig are for a big.Int that is not a pointer.
func writeBig(w *Writer, v reflect.Value) error {
	w.BigInt(addressable(v).Addr().Interface().(*big.Int))
	return nil
}

func readBig(r *Reader, v reflect.Value) {
	if x := r.BigInt(); x != nil {
		v.Addr().Interface().(*big.Int).Set(x)
	}
}

func readRat(r *Reader, v reflect.Value) {
	text := r.Decimal()
	if r.err != nil || text == "" {
		return
	}
	x, ok := Decimal(text).Rat()
	if !ok {
		r.fail(serialize.ErrMalformed, fmt.Sprintf("decimal %.40q", text))
		return
	}
	v.Addr().Interface().(*big.Rat).Set(x)
}
