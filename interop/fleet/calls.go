package fleet

import "context"

// Calls has the kinds of calls.
//
//ferry:service com.ferry.interop.Calls
type Calls interface {
	//ferry:method overload()
	Overload(ctx context.Context) (string, error)
	//ferry:method overload(java.lang.String)
	OverloadString(ctx context.Context, a string) (string, error)
	//ferry:method overload(int)
	OverloadInt(ctx context.Context, a int32) (string, error)
	//ferry:method overload(java.lang.Integer)
	OverloadInteger(ctx context.Context, a *int32) (string, error)
	//ferry:method overload(long)
	OverloadLong(ctx context.Context, a int64) (string, error)
	//ferry:method overload(java.util.List)
	OverloadList(ctx context.Context, a []string) (string, error)
	//ferry:method overload(java.lang.String,int)
	OverloadTwo(ctx context.Context, a string, b int32) (string, error)
	Nothing(ctx context.Context) error
	//ferry:oneway
	OneWay(ctx context.Context, token string) error
	OneWaySeen(ctx context.Context, token string) (bool, error)
	Big(ctx context.Context, data []byte) ([]byte, error)
	Make(ctx context.Context, size int32) ([]byte, error)
	Attachment(ctx context.Context, key string) (string, error)
	Where(ctx context.Context) (string, error)
	Fail(ctx context.Context, kind string) (string, error)
	Sleep(ctx context.Context, millis int32) (string, error)
	Nap(ctx context.Context, millis int32) (string, error)
	Older(ctx context.Context, p *Person, years int32) (*Person, error)
	Family(ctx context.Context, list []*Person, color Color) ([]*Person, error)
	Later(ctx context.Context, name string) (string, error)
	WhoFor(ctx context.Context, key string) (string, error)
	Who(ctx context.Context) (string, error)
}

// Checked is the exception that Calls declares in Java.
//
//ferry:error com.ferry.interop.CheckedException
type Checked struct {
	Message string `java:"detailMessage"`
	Code    int32
}

// Error is the exception's message.
func (e *Checked) Error() string { return e.Message }

// Custom is a runtime exception that Calls declares.
//
//ferry:error com.ferry.interop.CustomException
type Custom struct {
	Message string `java:"detailMessage"`
	Detail  string
}

// Error is the exception's message.
func (e *Custom) Error() string { return e.Message }

// Undeclared is a runtime exception of the service that nothing declares.
//
//ferry:error com.ferry.interop.UndeclaredException
type Undeclared struct {
	Message string `java:"detailMessage"`
}

// Error is the exception's message.
func (e *Undeclared) Error() string { return e.Message }
