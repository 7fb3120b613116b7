package gen

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// messagePlugin is the program that writes the Go types of messages. It runs from the module cache, by the go command.
const messagePlugin = "google.golang.org/protobuf/cmd/protoc-gen-go"

// fromProto generates for one .proto file: <base>.pb.go by protoc-gen-go, <base>_ferry.go by this package.
func fromProto(o Options, path string) ([]File, error) {
	request, err := compileProto(o, path)
	if err != nil {
		return nil, err
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		return nil, fmt.Errorf("gen: %s: %w", shorten(path), err)
	}
	source := plugin.FilesByPath[filepath.Base(path)]
	files, err := runPlugin(request, path)
	if err != nil {
		return nil, err
	}
	content, err := emitProto(source, path)
	if err != nil {
		return nil, err
	}
	return append(files, File{Path: outputName(path), Content: content}), nil
}

// compileProto parses the file with all it imports and returns the request that a protoc plug-in would get.
func compileProto(o Options, path string) (*pluginpb.CodeGeneratorRequest, error) {
	name := filepath.Base(path)
	var problems []error
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: append([]string{filepath.Dir(path)}, o.Imports...)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			pos := err.GetPosition()
			if pos.Filename == name {
				pos.Filename = path
			}
			problems = append(problems, &Error{Pos: token.Position{Filename: pos.Filename, Line: pos.Line, Column: pos.Col}, Msg: err.Unwrap().Error()})
			return nil
		}, nil),
	}
	result, err := compiler.Compile(context.Background(), name)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if err != nil {
		return nil, fmt.Errorf("gen: %s: %w", shorten(path), err)
	}
	options, _ := result[0].Options().(*descriptorpb.FileOptions)
	if options.GetGoPackage() == "" {
		return nil, &Error{Pos: token.Position{Filename: path, Line: 1, Column: 1},
			Msg: "which Go package is it? Write option go_package = \"example.com/module/folder\";"}
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{name}, Parameter: proto.String("paths=source_relative")}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(f))
	}
	add(result[0])
	return request, nil
}

// runPlugin has protoc-gen-go write the messages, which is what protoc would do.
func runPlugin(request *pluginpb.CodeGeneratorRequest, path string) ([]File, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("gen: %s: %w", shorten(path), err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command("go", "run", messagePlugin)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = filepath.Dir(path), bytes.NewReader(in), &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gen: %s: go run %s: %w: %s", shorten(path), messagePlugin, err, strings.TrimSpace(complaints.String()))
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out.Bytes(), &response); err != nil {
		return nil, fmt.Errorf("gen: %s: answer of %s: %w", shorten(path), messagePlugin, err)
	}
	if response.GetError() != "" {
		return nil, fmt.Errorf("gen: %s: %s", shorten(path), response.GetError())
	}
	var files []File
	for _, f := range response.GetFile() {
		files = append(files, File{Path: filepath.Join(shorten(filepath.Dir(path)), f.GetName()), Content: []byte(f.GetContent())})
	}
	return files, nil
}

// emitProto prints the services of a .proto file and the fast paths of its messages.
func emitProto(f *protogen.File, path string) ([]byte, error) {
	own := types.NewPackage(string(f.GoImportPath), string(f.GoPackageName))
	p := &protoPkg{own: own, packages: map[protogen.GoImportPath]*types.Package{f.GoImportPath: own}}
	pr := newPrinter(own)
	model := &pkg{types: own, fset: token.NewFileSet(), run: map[string]string{}}
	for _, s := range f.Services {
		service, err := p.service(s, path)
		if err != nil {
			return nil, err
		}
		if len(service.methods) > 0 {
			p.emitInterface(pr, s, service)
			emitService(pr, model, service)
		}
	}
	emitMessages(pr, f)
	return pr.source(Header)
}

// A protoPkg turns the names of a .proto file into the types that the printers of services understand.
type protoPkg struct {
	own      *types.Package
	packages map[protogen.GoImportPath]*types.Package
}

// message returns the type of a pointer to a message.
func (p *protoPkg) message(m *protogen.Message) types.Type {
	path := m.GoIdent.GoImportPath
	pkg := p.packages[path]
	if pkg == nil {
		name := string(path)[strings.LastIndexByte(string(path), '/')+1:]
		pkg = types.NewPackage(string(path), cleanName(name))
		p.packages[path] = pkg
	}
	obj := types.NewTypeName(token.NoPos, pkg, m.GoIdent.GoName, nil)
	return types.NewPointer(types.NewNamed(obj, types.NewStruct(nil, nil), nil))
}

// cleanName makes a package name of the last element of an import path.
func cleanName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, name)
}

// service reads a service. Its name on the wire is package.Service, a method's is its own with a lower first letter, as
// Dubbo's compiler does it.
func (p *protoPkg) service(s *protogen.Service, path string) (*service, error) {
	out := &service{obj: types.NewTypeName(token.NoPos, p.own, s.GoName, nil), wire: string(s.Desc.FullName())}
	wire := map[string]string{}
	for _, m := range s.Methods {
		name := strings.ToLower(string(m.Desc.Name()[:1])) + string(m.Desc.Name()[1:])
		if other := wire[name]; other != "" {
			loc := m.Desc.ParentFile().SourceLocations().ByDescriptor(m.Desc)
			return nil, &Error{Pos: token.Position{Filename: path, Line: loc.StartLine + 1, Column: loc.StartColumn + 1},
				Msg: fmt.Sprintf("%s and %s are both %s on the wire: rename one", other, m.GoName, name)}
		}
		wire[name] = m.GoName
		level := m.Desc.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel()
		out.methods = append(out.methods, &method{
			name: m.GoName, wire: name, rpc: string(m.Desc.Name()), stream: streamsOf(m.Desc.IsStreamingClient(), m.Desc.IsStreamingServer()), descriptor: javaMessage(m.Input.Desc), result: javaMessage(m.Output.Desc),
			idempotent: level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
			args:       []value{{name: "in", typ: p.message(m.Input), message: true}},
			reply:      &value{typ: p.message(m.Output), message: true},
		})
	}
	return out, nil
}

// emitInterface prints the Go interface of a service with the comments of the .proto file.
func (p *protoPkg) emitInterface(pr *printer, s *protogen.Service, model *service) {
	pr.P("// %s is the service %s.", s.GoName, model.wire)
	if text := s.Comments.Leading.String(); text != "" {
		pr.P("//\n%s", strings.TrimRight(text, "\n"))
	}
	pr.P("type %s interface {", s.GoName)
	for i, m := range s.Methods {
		if text := m.Comments.Leading.String(); text != "" {
			pr.P("%s", strings.TrimRight(text, "\n"))
		}
		method := model.methods[i]
		pr.P("%s(ctx %s.Context, in %s) %s", m.GoName, pr.std("context"), method.argType(pr, method.args[0]), results(pr, method))
	}
	pr.P("}\n")
}

// javaMessage returns the descriptor of the class that protoc makes of a message for Java.
func javaMessage(d protoreflect.MessageDescriptor) string {
	file := d.ParentFile()
	options, _ := file.Options().(*descriptorpb.FileOptions)
	name := string(d.Name())
	var parent protoreflect.Descriptor = d.Parent()
	for ; parent != file; parent = parent.Parent() {
		name = string(parent.Name()) + "$" + name
	}
	if !options.GetJavaMultipleFiles() {
		name = cmp.Or(options.GetJavaOuterClassname(), outerClass(file)) + "$" + name
	}
	if in := cmp.Or(options.GetJavaPackage(), string(file.Package())); in != "" {
		name = in + "." + name
	}
	return "L" + strings.ReplaceAll(name, ".", "/") + ";"
}

// outerClass is the class around the messages of a file: its name in camel case, with OuterClass when a type has that name.
func outerClass(file protoreflect.FileDescriptor) string {
	base := strings.TrimSuffix(filepath.Base(file.Path()), ".proto")
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(base, func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
		b.WriteString(upperFirst(word))
	}
	name := protoreflect.Name(b.String())
	if file.Messages().ByName(name) != nil || file.Enums().ByName(name) != nil || file.Services().ByName(name) != nil {
		return string(name) + "OuterClass"
	}
	return string(name)
}
