package main

import (
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_exception"
	"github.com/apache/dubbo-go-hessian2/java_util"
	gxbig "github.com/dubbogo/gost/math/big"
)

// The classes of interop/java, as dubbo-go writes them.

// Color is an enum; what has no name is none of its values.
type Color hessian.JavaEnum

// The values of Color.
const (
	Red Color = iota + 1
	Green
	Blue
)

var colors = map[string]Color{"RED": Red, "GREEN": Green, "BLUE": Blue}

// JavaClassName is asked by hessian2, as in all of these.
func (Color) JavaClassName() string { return "com.ferry.interop.Color" }

func (c Color) String() string {
	for name, v := range colors {
		if v == c {
			return name
		}
	}
	return ""
}

// EnumValue is the value of a name.
func (Color) EnumValue(name string) hessian.JavaEnum { return hessian.JavaEnum(colors[name]) }

// Person is a class with optional fields.
type Person struct {
	Name      string
	Age       int32
	ID        *int64 `hessian:"id"`
	Favourite *Color
	Tags      []string
}

// JavaClassName names the class.
func (*Person) JavaClassName() string { return "com.ferry.interop.Person" }

// Manager is a subclass of Person.
type Manager struct {
	Person
	Title string
	Team  []*Person
}

// JavaClassName names the class.
func (*Manager) JavaClassName() string { return "com.ferry.interop.Manager" }

// Node is a tree that knows its way up.
type Node struct {
	Name     string
	Parent   *Node
	Children []*Node
}

// JavaClassName names the class.
func (*Node) JavaClassName() string { return "com.ferry.interop.Node" }

// Twins may be the same person.
type Twins struct{ Left, Right *Person }

// JavaClassName names the class.
func (*Twins) JavaClassName() string { return "com.ferry.interop.Twins" }

// Evolving has a field that Ferry does not know, and lacks one that it does.
type Evolving struct {
	Name        string
	DubboGoOnly map[string]*Person
	Size        int32
}

// JavaClassName names the class.
func (*Evolving) JavaClassName() string { return "com.ferry.interop.Evolving" }

// DubboGoOnly is a class that Ferry does not know.
type DubboGoOnly struct {
	Word   string
	Number int64
}

// JavaClassName names the class.
func (*DubboGoOnly) JavaClassName() string { return "com.ferry.interop.JavaOnly" }

// Floating has a float between other fields.
type Floating struct {
	Before int16
	F      float32
	After  int16
}

// JavaClassName names the class.
func (*Floating) JavaClassName() string { return "com.ferry.interop.Floating" }

// Everything has a field of every type.
type Everything struct {
	Z             bool
	B             int8
	S             int16
	C             string // hessian.Rune is one byte
	I             int32
	J             int64
	D             float64
	BoxedZ        *bool
	BoxedB        *int8
	BoxedS        *int16
	BoxedC        *string
	BoxedI        *int32
	BoxedJ        *int64
	BoxedF        *float32
	BoxedD        *float64
	Text          *string
	Bytes         []byte
	Ints          []int32
	Grid          [][]int64
	Strings       []string
	People        []*Person
	List          []string
	Longs         []int64
	Set           []int32
	Map           map[string]int32
	ByColor       interface{} // a map; dubbo-go's reader panics at one in a field that has an enum for its key
	Person        *Person
	Color         *Color
	Date          *time.Time
	LocalDate     *java8_time.LocalDate
	LocalTime     *java8_time.LocalTime
	LocalDateTime *java8_time.LocalDateTime
	Instant       *java8_time.Instant
	Duration      *java8_time.Duration
	Decimal       *gxbig.Decimal
	Big           *gxbig.Integer
	UUID          *java_util.UUID `hessian:"uuid"`
	Any           interface{}
}

// JavaClassName names the class.
func (*Everything) JavaClassName() string { return "com.ferry.interop.Everything" }

// CheckedException is declared by the service in Java.
type CheckedException struct {
	DetailMessage string
	Code          int32
}

// JavaClassName names the class.
func (*CheckedException) JavaClassName() string { return "com.ferry.interop.CheckedException" }

func (e *CheckedException) Error() string { return e.DetailMessage }

// GetStackTrace makes it an exception for dubbo-go.
func (*CheckedException) GetStackTrace() []java_exception.StackTraceElement { return nil }

// CustomException is a runtime exception.
type CustomException struct {
	DetailMessage string
	Detail        string
}

// JavaClassName names the class.
func (*CustomException) JavaClassName() string { return "com.ferry.interop.CustomException" }

func (e *CustomException) Error() string { return e.DetailMessage }

// GetStackTrace makes it an exception for dubbo-go.
func (*CustomException) GetStackTrace() []java_exception.StackTraceElement { return nil }

// UndeclaredException is a runtime exception that Java does not declare.
type UndeclaredException struct{ DetailMessage string }

// JavaClassName names the class.
func (*UndeclaredException) JavaClassName() string { return "com.ferry.interop.UndeclaredException" }

func (e *UndeclaredException) Error() string { return e.DetailMessage }

// GetStackTrace makes it an exception for dubbo-go.
func (*UndeclaredException) GetStackTrace() []java_exception.StackTraceElement { return nil }

// A named value travels under a Java type that dubbo-go would not name by itself: a List that is null, an array of objects.
type named struct {
	java  string
	value any
}

// JavaClassName finds namer.
func (*named) JavaClassName() string { return "com.ferry.interop.Named" }

// JavaParamName stands in the call's list of parameter types.
func (n *named) JavaParamName() string { return n.java }

// namer writes the value alone.
type namer struct{ hessian.Serializer }

// EncObject writes what stands behind the name.
func (namer) EncObject(e *hessian.Encoder, v hessian.POJO) error { return e.Encode(v.(*named).value) }

func registerClasses() {
	for _, o := range []hessian.POJO{&Citizen{}, &Person{}, &Manager{}, &Node{}, &Twins{}, &Evolving{}, &DubboGoOnly{}, &Floating{}, &Everything{},
		&CheckedException{}, &CustomException{}, &UndeclaredException{}} {
		hessian.RegisterPOJO(o)
	}
	hessian.RegisterJavaEnum(Red)
	hessian.SetSerializer((*named)(nil).JavaClassName(), namer{})
}
