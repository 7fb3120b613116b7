package hessian2

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/serialize"
)

const (
	runtimeException = "java.lang.RuntimeException"
	stackTraceType   = "[java.lang.StackTraceElement"
)

// The fields of a java.lang.Throwable, and the one class that is thrown most; they are never changed.
var (
	throwableFields = []string{"detailMessage", "cause", "stackTrace", "suppressedExceptions"}
	classRuntime    = NewClass(runtimeException, throwableFields...)
)

// exception writes e as a Java throwable without cause and with an empty stack trace, which is what Java needs to build one.
func (w *Writer) exception(e *serialize.Exception) error {
	if e == nil {
		w.Null()
		return nil
	}
	var own []fieldPlan
	class := e.Class
	v := reflect.ValueOf(e.Value)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		fields, err := w.owner.fields(v.Type(), nil)
		if err != nil {
			return err
		}
		own = slices.DeleteFunc(fields, func(f fieldPlan) bool { return slices.Contains(throwableFields, f.name) })
		if class == "" {
			class = w.owner.className(v.Type())
		}
	}
	if class == "" {
		class = runtimeException
	}
	w.Object(w.throwable(class, own))
	w.String(e.Message)
	w.Null()
	w.List(stackTraceType, 0)
	w.Null()
	for i := range own {
		if err := own[i].write(w, v); err != nil {
			return err
		}
	}
	return nil
}

// throwable returns the class description of a throwable with the fields of own behind the common ones.
func (w *Writer) throwable(class string, own []fieldPlan) *Class {
	if len(own) == 0 && class == runtimeException {
		return classRuntime
	}
	fields := slices.Clone(throwableFields)
	for _, f := range own {
		fields = append(fields, f.name)
	}
	for _, c := range w.classes {
		if c.Name == class && slices.Equal(c.Fields, fields) {
			return c
		}
	}
	return NewClass(class, fields...)
}

// exception reads a throwable. If its class is registered it is read twice: for the common fields, and into the Go type.
// A null leaves an empty exception, and a plain string is taken as the message.
func (r *Reader) exception(e *serialize.Exception) {
	*e = serialize.Exception{}
	b, ok := r.tag("exception")
	if !ok || r.Null() {
		return
	}
	if isString(b) {
		e.Message = r.String()
		return
	}
	if b == tagRef && !r.again() {
		return
	}
	i, ok := r.peekClass()
	if !ok {
		return
	}
	e.Class = r.className(&r.classes[i])
	pos, next, depth := r.pos, r.next, r.depth
	names := r.fieldNames(&r.classes[i])
	if _, ok := r.begin(); !ok {
		return
	}
	var class, message string // of Dubbo's GenericException
	for _, name := range names {
		switch name {
		case "detailMessage":
			e.Message = r.optionalText()
		case "exceptionClass":
			class = r.optionalText()
		case "exceptionMessage":
			message = r.optionalText()
		default:
			r.Skip()
		}
	}
	if strings.HasSuffix(e.Class, ".rpc.service.GenericException") && class != "" {
		e.Class, e.Message = class, message // its own message is a stack trace
		r.EndObject()
		return
	}
	if _, ok := r.owner.types.Type(e.Class); ok && r.err == nil {
		r.pos, r.next, r.depth = pos, next, depth
		e.Value, _ = r.registered(e.Class)
		return
	}
	r.EndObject()
}

// optionalText reads a string, or passes over anything else.
func (r *Reader) optionalText() string {
	if b, ok := r.tag("string"); ok && (isString(b) || b == tagNull) {
		return r.String()
	}
	r.Skip()
	return ""
}
