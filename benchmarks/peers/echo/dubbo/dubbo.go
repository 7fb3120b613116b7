// Package dubbo has the shapes of package echo for dubbo-go, which wants exported types with Java class names.
package dubbo

import "github.com/ferryrpc/ferry/benchmarks/peers/echo"

// Interface is the service's name in Java.
const Interface = "org.ferryrpc.bench.Echo"

// Message is echo.Message.
type Message echo.Message

// JavaClassName is asked by hessian2.
func (Message) JavaClassName() string { return "org.ferryrpc.bench.Message" }

// Record is echo.Record.
type Record echo.Record

// JavaClassName is asked by hessian2.
func (Record) JavaClassName() string { return "org.ferryrpc.bench.Record" }

// Records is echo.Records, with pointers as dubbo-go's users write them.
type Records struct{ List []*Record }

// JavaClassName is asked by hessian2.
func (Records) JavaClassName() string { return "org.ferryrpc.bench.Records" }
