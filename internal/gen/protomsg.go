package gen

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	wirePkg     = "google.golang.org/protobuf/encoding/protowire"
	protobufPkg = "google.golang.org/protobuf/proto"
)

// A wire prints the fast paths of messages: AppendProto and UnmarshalProto, which give the bytes of protobuf-go and take
// them, unknown fields included, without its reflection. Messages with oneofs, extensions or the older presence rules
// have none; they are left to protobuf-go.
type wire struct {
	*printer
	file *protogen.File
	fast map[*protogen.Message]bool
}

// emitMessages prints the fast paths of all messages of a file that can have them.
func emitMessages(pr *printer, f *protogen.File) {
	w := &wire{printer: pr, file: f, fast: map[*protogen.Message]bool{}}
	if f.Desc.Syntax() != protoreflect.Proto3 {
		return
	}
	var all []*protogen.Message
	var collect func(list []*protogen.Message)
	collect = func(list []*protogen.Message) {
		for _, m := range list {
			if !m.Desc.IsMapEntry() && plain(m) {
				w.fast[m], all = true, append(all, m)
			}
			collect(m.Messages)
		}
	}
	collect(f.Messages)
	for _, m := range all {
		w.append(m)
		w.unmarshal(m)
	}
	if w.lengths(all) {
		w.finish()
	}
}

// plain says whether a message has a fast path.
func plain(m *protogen.Message) bool {
	for _, o := range m.Oneofs {
		if !o.Desc.IsSynthetic() {
			return false
		}
	}
	return m.Desc.ExtensionRanges().Len() == 0
}

// lengths says whether any of the messages writes something whose length is known only afterwards.
func (w *wire) lengths(all []*protogen.Message) bool {
	for _, m := range all {
		for _, f := range m.Fields {
			if f.Message != nil || f.Desc.IsPacked() {
				return true
			}
		}
	}
	return false
}

func (w *wire) finishName() string {
	return "finish" + strings.ReplaceAll(upperFirst(w.file.GoDescriptorIdent.GoName[len("File_"):]), "_", "")
}

// finish prints the function that puts the length in front of what was written behind a byte kept free for it.
func (w *wire) finish() {
	pw := w.std(wirePkg)
	w.P("// %s puts the length of b[n:] into the byte in front of it, and makes room where one byte is too small.", w.finishName())
	w.P("func %s(b []byte, n int) []byte {", w.finishName())
	w.P("size := len(b) - n\nif size < 0x80 {\nb[n-1] = byte(size)\nreturn b\n}")
	w.P("more := %s.SizeVarint(uint64(size)) - 1", pw)
	w.P("b = append(b, make([]byte, more)...)\ncopy(b[n+more:], b[n:])")
	w.P("_ = %s.AppendVarint(b[:n-1], uint64(size))\nreturn b\n}\n", pw)
}

// fields returns the fields in the order in which protobuf-go writes them.
func (w *wire) fields(m *protogen.Message) []*protogen.Field {
	list := slices.Clone(m.Fields)
	slices.SortFunc(list, func(a, b *protogen.Field) int { return int(a.Desc.Number() - b.Desc.Number()) })
	return list
}

// tag prints the bytes of a field's tag as arguments of append.
func tag(f *protogen.Field, t protowire.Type) string {
	return tagBytes(protowire.Number(f.Desc.Number()), t)
}

func tagBytes(n protowire.Number, t protowire.Type) string {
	var list []string
	for _, c := range protowire.AppendTag(nil, n, t) {
		list = append(list, fmt.Sprintf("0x%02x", c))
	}
	return strings.Join(list, ", ")
}

// wireType is the wire type of one value of a kind.
func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

func (w *wire) append(m *protogen.Message) {
	name := m.GoIdent.GoName
	w.P("// AppendProto appends m to b in the protobuf format; a nil m is an empty one.")
	w.function("func (m *%s) AppendProto(b []byte) ([]byte, error) {", name)
	w.P("if m == nil {\nreturn b, nil\n}")
	for _, f := range m.Fields {
		if f.Message != nil && !f.Desc.IsMap() || f.Desc.IsMap() && f.Message.Fields[1].Message != nil {
			w.P("var err error")
			break
		}
	}
	for _, f := range w.fields(m) {
		w.appendField(m, f, "m."+f.GoName)
	}
	w.P("return append(b, m.unknownFields...), nil\n}\n")
}

func (w *wire) appendField(m *protogen.Message, f *protogen.Field, e string) {
	d := f.Desc
	t := wireType(d.Kind())
	switch {
	case d.IsMap():
		w.appendMap(m, f, e)
	case d.IsList() && d.IsPacked():
		w.P("if len(%s) > 0 {", e)
		n, x := w.fresh("n"), w.fresh("x")
		w.P("b = append(b, %s, 0)\n%s := len(b)\nfor _, %s := range %s {", tag(f, protowire.BytesType), n, x, e)
		w.appendValue(m, f, x)
		w.P("}\nb = %s(b, %s)\n}", w.finishName(), n)
	case d.IsList():
		x := w.fresh("x")
		w.P("for _, %s := range %s {\nb = append(b, %s)", x, e, tag(f, t))
		w.appendValue(m, f, x)
		w.P("}")
	case f.Message != nil:
		w.P("if %s != nil {\nb = append(b, %s)", e, tag(f, t))
		w.appendValue(m, f, e)
		w.P("}")
	case d.HasPresence() && d.Kind() != protoreflect.BytesKind:
		w.P("if %s != nil {\nb = append(b, %s)", e, tag(f, t))
		w.appendValue(m, f, "*"+e)
		w.P("}")
	default:
		w.P("if %s {\nb = append(b, %s)", w.set(f, e), tag(f, t))
		w.appendValue(m, f, e)
		w.P("}")
	}
}

// set prints the condition under which a field without presence is written.
func (w *wire) set(f *protogen.Field, e string) string {
	switch f.Desc.Kind() {
	case protoreflect.BoolKind:
		return e
	case protoreflect.StringKind:
		return e + ` != ""`
	case protoreflect.BytesKind:
		if f.Desc.HasPresence() {
			return e + " != nil"
		}
		return "len(" + e + ") != 0"
	case protoreflect.FloatKind:
		return e + " != 0 || " + w.std("math") + ".Signbit(float64(" + e + "))"
	case protoreflect.DoubleKind:
		return e + " != 0 || " + w.std("math") + ".Signbit(" + e + ")"
	}
	return e + " != 0"
}

// appendValue prints what appends one value without its tag.
func (w *wire) appendValue(m *protogen.Message, f *protogen.Field, e string) {
	pw := w.std(wirePkg)
	switch k := f.Desc.Kind(); k {
	case protoreflect.MessageKind:
		n := w.fresh("n")
		call := e + ".AppendProto(b)"
		if !w.fast[f.Message] {
			call = "(" + w.use(protobufPkg, "proto") + ".MarshalOptions{AllowPartial: true}).MarshalAppend(b, " + e + ")"
		}
		w.P("b = append(b, 0)\n%s := len(b)\nif b, err = %s; err != nil {\nreturn nil, err\n}\nb = %s(b, %s)", n, call, w.finishName(), n)
	case protoreflect.StringKind:
		w.P("if !%s.ValidString(%s) {\nreturn nil, %s.New(%q)\n}", w.std("unicode/utf8"), e, w.std("errors"), string(f.Desc.FullName())+": string with invalid UTF-8")
		w.P("b = %s.AppendString(b, %s)", pw, e)
	case protoreflect.BytesKind:
		w.P("b = %s.AppendBytes(b, %s)", pw, e)
	case protoreflect.BoolKind:
		w.P("b = %s.AppendVarint(b, %s.EncodeBool(%s))", pw, pw, e)
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		w.P("b = %s.AppendVarint(b, %s.EncodeZigZag(int64(%s)))", pw, pw, e)
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		w.P("b = %s.AppendFixed32(b, uint32(%s))", pw, e)
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		w.P("b = %s.AppendFixed64(b, uint64(%s))", pw, e)
	case protoreflect.FloatKind:
		w.P("b = %s.AppendFixed32(b, %s.Float32bits(%s))", pw, w.std("math"), e)
	case protoreflect.DoubleKind:
		w.P("b = %s.AppendFixed64(b, %s.Float64bits(%s))", pw, w.std("math"), e)
	default:
		w.P("b = %s.AppendVarint(b, uint64(%s))", pw, e)
	}
}

// appendMap prints what appends a map: one message of key and value for each entry.
func (w *wire) appendMap(m *protogen.Message, f *protogen.Field, e string) {
	key, value := f.Message.Fields[0], f.Message.Fields[1]
	k, x, n := w.fresh("k"), w.fresh("x"), w.fresh("n")
	w.P("for %s, %s := range %s {\nb = append(b, %s, 0)\n%s := len(b)", k, x, e, tag(f, protowire.BytesType), n)
	w.P("b = append(b, %s)", tag(key, wireType(key.Desc.Kind())))
	w.appendValue(m, key, k)
	w.P("b = append(b, %s)", tag(value, wireType(value.Desc.Kind())))
	w.appendValue(m, value, x)
	w.P("b = %s(b, %s)\n}", w.finishName(), n)
}
