package gen

import (
	"go/token"
	"go/types"
)

// A pkg is one Go package with everything in it that is to be generated.
type pkg struct {
	types   *types.Package
	fset    *token.FileSet
	dir     string
	files   []*file                    // sorted by name
	classes map[*types.TypeName]*class // types of this package that travel as objects or enums
	run     map[string]string          // Java classes of all packages of this run, by qualified name
	errs    []error
}

// A file is one source file and what its answer will hold.
type file struct {
	path     string
	services []*service
	classes  []*class
}

// A service is one interface with //ferry:service.
type service struct {
	obj      *types.TypeName
	file     *file
	wire     string // com.example.Greeter
	settings []setting
	methods  []*method
	reaches  map[types.Type]bool // every type that its arguments and replies lead to
}

// A setting is key=value from a service's directive: a URL parameter of its references and exports.
type setting struct{ key, value string }

// A method is one method of a service.
type method struct {
	name       string // Go name
	wire       string
	descriptor string
	result     string // JVM descriptor of the reply
	rpc        string // name in gRPC paths, of a .proto file
	stream     streams
	oneway     bool
	idempotent bool
	args       []value
	reply      *value // nil: none
	pos        token.Pos
}

// A value is an argument or a reply.
type value struct {
	name string
	typ  types.Type
	java string // JVM descriptor
	form form

	message bool // a pointer to a protobuf message
}

// A class is a struct of the package that travels as a Java object.
type class struct {
	obj     *types.TypeName
	file    *file
	java    string  // com.example.User
	named   bool    // by a directive; otherwise after who reaches it
	enum    bool    // no struct: a string, or a type with MarshalText and UnmarshalText
	service bool    // a service reaches it
	thrown  bool    // //ferry:error
	fields  []field // by their Java names
	msgpack []field // by their msgpack names
}

// A field is one field of a class as it travels; promoted fields of embedded structs stand among them.
type field struct {
	path   string // Go selector, for instance Base.ID
	wire   string
	typ    types.Type
	form   form
	omit   bool // msgpack's omitempty
	guards []guard
	pos    token.Pos
}

// A guard is an embedded pointer on the way to a promoted field: where it is nil there is no field.
type guard struct {
	path string
	elem types.Type
}
