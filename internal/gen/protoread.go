package gen

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unmarshal prints UnmarshalProto, and mergeProto, which adds to what is there already as a repeated message field asks for.
func (w *wire) unmarshal(m *protogen.Message) {
	name, pw := m.GoIdent.GoName, w.std(wirePkg)
	w.P("// UnmarshalProto makes m what b holds in the protobuf format, and keeps no part of b.")
	w.P("func (m *%s) UnmarshalProto(b []byte) error {\nm.Reset()\nreturn m.mergeProto(b)\n}\n", name)
	w.function("func (m *%s) mergeProto(b []byte) error {", name)
	w.P("for len(b) > 0 {")
	w.P("num, typ, size := %s.ConsumeTag(b)\nif size < 0 {\nreturn %s.ParseError(size)\n}", pw, pw)
	if len(m.Fields) > 0 {
		w.P("b = b[size:]\nswitch %s.EncodeTag(num, typ) {", pw)
		for _, f := range w.fields(m) {
			w.readField(f, "m."+f.GoName)
		}
		w.P("default:")
	} else {
		w.P("b = b[size:]")
	}
	// ConsumeTag takes larger numbers than protobuf allows; those of known fields are small.
	w.P("if num > %s.MaxValidNumber {\nreturn %s.New(%q)\n}", pw, w.std("errors"), string(m.Desc.FullName())+": field number out of range")
	w.P("n := %s.ConsumeFieldValue(num, typ, b)\nif n < 0 {\nreturn %s.ParseError(n)\n}", pw, pw)
	w.P("m.unknownFields = append(%s.AppendTag(m.unknownFields, num, typ), b[:n]...)\nb = b[n:]", pw)
	if len(m.Fields) > 0 {
		w.P("}")
	}
	w.P("}\nreturn nil\n}\n")
}

// readField prints the cases of one field.
func (w *wire) readField(f *protogen.Field, e string) {
	d, pw := f.Desc, w.std(wirePkg)
	t := wireType(d.Kind())
	w.P("case %d:", protowire.EncodeTag(protowire.Number(d.Number()), t))
	switch {
	case d.IsMap():
		w.readMap(f, e)
		return
	case d.IsList() && f.Message != nil:
		x := w.fresh("x")
		w.consume(f, "v")
		w.P("%s := new(%s)", x, w.message(f.Message))
		w.merge(f, x, "v")
		w.P("%s = append(%s, %s)\nb = b[n:]", e, e, x)
	case d.IsList():
		w.consume(f, "v")
		w.P("%s = append(%s, %s)\nb = b[n:]", e, e, w.decoded(f, "v"))
	case f.Message != nil:
		w.consume(f, "v")
		w.P("if %s == nil {\n%s = new(%s)\n}", e, e, w.message(f.Message))
		w.merge(f, e, "v")
		w.P("b = b[n:]")
	case d.HasPresence() && d.Kind() != protoreflect.BytesKind:
		x := w.fresh("x")
		w.consume(f, "v")
		w.P("%s := %s\n%s = &%s\nb = b[n:]", x, w.decoded(f, "v"), e, x)
	default:
		w.consume(f, "v")
		w.P("%s = %s\nb = b[n:]", e, w.decoded(f, "v"))
	}
	if d.IsList() && t != protowire.BytesType { // a writer may pack them or not, whatever the file says
		w.P("case %d:", protowire.EncodeTag(protowire.Number(d.Number()), protowire.BytesType))
		w.P("list, size := %s.ConsumeBytes(b)\nif size < 0 {\nreturn %s.ParseError(size)\n}\nb = b[size:]", pw, pw)
		w.P("for len(list) > 0 {")
		w.consumeFrom(f, "v", "list")
		w.P("%s = append(%s, %s)\nlist = list[n:]\n}", e, e, w.decoded(f, "v"))
	}
}

// message prints the type of a message.
func (w *wire) message(m *protogen.Message) string { return w.ident(m.GoIdent) }

func (w *wire) ident(id protogen.GoIdent) string {
	if id.GoImportPath == w.file.GoImportPath {
		return id.GoName
	}
	path := string(id.GoImportPath)
	return w.use(path, cleanName(path[lastSlash(path)+1:])) + "." + id.GoName
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

func (w *wire) consume(f *protogen.Field, v string) { w.consumeFrom(f, v, "b") }

// consumeFrom prints what takes one value without its tag from the front of b; n is its size.
func (w *wire) consumeFrom(f *protogen.Field, v, b string) {
	pw := w.std(wirePkg)
	call := map[protowire.Type]string{protowire.VarintType: "ConsumeVarint", protowire.Fixed32Type: "ConsumeFixed32",
		protowire.Fixed64Type: "ConsumeFixed64", protowire.BytesType: "ConsumeBytes"}[wireType(f.Desc.Kind())]
	w.P("%s, n := %s.%s(%s)\nif n < 0 {\nreturn %s.ParseError(n)\n}", v, pw, call, b, pw)
	if f.Desc.Kind() == protoreflect.StringKind {
		w.P("if !%s.Valid(%s) {\nreturn %s.New(%q)\n}", w.std("unicode/utf8"), v, w.std("errors"), string(f.Desc.FullName())+": string with invalid UTF-8")
	}
}

// merge prints what adds the bytes v to the message e.
func (w *wire) merge(f *protogen.Field, e, v string) {
	if w.fast[f.Message] {
		w.P("if err := %s.mergeProto(%s); err != nil {\nreturn err\n}", e, v)
		return
	}
	w.P("if err := (%s.UnmarshalOptions{Merge: true, AllowPartial: true}).Unmarshal(%s, %s); err != nil {\nreturn err\n}", w.use(protobufPkg, "proto"), v, e)
}

// decoded prints the Go value of what consume gave.
func (w *wire) decoded(f *protogen.Field, v string) string {
	pw := w.std(wirePkg)
	switch k := f.Desc.Kind(); k {
	case protoreflect.BoolKind:
		return pw + ".DecodeBool(" + v + ")"
	case protoreflect.EnumKind:
		return w.ident(f.Enum.GoIdent) + "(" + v + ")"
	case protoreflect.StringKind:
		return "string(" + v + ")"
	case protoreflect.BytesKind:
		return "append([]byte{}, " + v + "...)"
	case protoreflect.Sint32Kind:
		return "int32(" + pw + ".DecodeZigZag(" + v + " & " + w.std("math") + ".MaxUint32))"
	case protoreflect.Sint64Kind:
		return pw + ".DecodeZigZag(" + v + ")"
	case protoreflect.FloatKind:
		return w.std("math") + ".Float32frombits(" + v + ")"
	case protoreflect.DoubleKind:
		return w.std("math") + ".Float64frombits(" + v + ")"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind, protoreflect.Fixed32Kind:
		return v
	default:
		return fmt.Sprintf("%s(%s)", goScalar(k), v)
	}
}

func goScalar(k protoreflect.Kind) string {
	switch k {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "int32"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "uint32"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "int64"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "uint64"
	case protoreflect.FloatKind:
		return "float32"
	case protoreflect.DoubleKind:
		return "float64"
	case protoreflect.BytesKind:
		return "[]byte"
	}
	return "string"
}

// goType prints the type of a map's key or value.
func (w *wire) goType(f *protogen.Field) string {
	switch {
	case f.Message != nil:
		return "*" + w.message(f.Message)
	case f.Enum != nil:
		return w.ident(f.Enum.GoIdent)
	}
	return goScalar(f.Desc.Kind())
}

// readMap prints the case of a map: an entry is a message whose fields may come in any order, or be absent.
func (w *wire) readMap(f *protogen.Field, e string) {
	pw := w.std(wirePkg)
	key, value := f.Message.Fields[0], f.Message.Fields[1]
	w.P("entry, size := %s.ConsumeBytes(b)\nif size < 0 {\nreturn %s.ParseError(size)\n}\nb = b[size:]", pw, pw)
	w.P("var key %s", w.goType(key))
	if value.Message != nil {
		w.P("value := new(%s)", w.message(value.Message))
	} else {
		w.P("var value %s", w.goType(value))
	}
	w.P("for len(entry) > 0 {\nnum, typ, size := %s.ConsumeTag(entry)\nif size < 0 {\nreturn %s.ParseError(size)\n}\nentry = entry[size:]", pw, pw)
	w.P("switch %s.EncodeTag(num, typ) {", pw)
	w.P("case %d:", protowire.EncodeTag(1, wireType(key.Desc.Kind())))
	w.consumeFrom(key, "v", "entry")
	w.P("key = %s\nentry = entry[n:]", w.decoded(key, "v"))
	w.P("case %d:", protowire.EncodeTag(2, wireType(value.Desc.Kind())))
	w.consumeFrom(value, "v", "entry")
	if value.Message != nil {
		w.merge(value, "value", "v")
		w.P("entry = entry[n:]")
	} else {
		w.P("value = %s\nentry = entry[n:]", w.decoded(value, "v"))
	}
	w.P("default:\nif num > %s.MaxValidNumber {\nreturn %s.New(%q)\n}", pw, w.std("errors"), string(f.Desc.FullName())+": field number out of range")
	w.P("n := %s.ConsumeFieldValue(num, typ, entry)\nif n < 0 {\nreturn %s.ParseError(n)\n}\nentry = entry[n:]\n}\n}", pw, pw)
	w.P("if %s == nil {\n%s = map[%s]%s{}\n}\n%s[key] = value", e, e, w.goType(key), w.goType(value), e)
}
