// Package leak fails a package's tests when they leave a goroutine behind.
package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and then looks for goroutines that should be gone. Call it from TestMain.
func Main(m *testing.M) { goleak.VerifyTestMain(m, Known()...) }

// Known are the goroutines that other libraries start with the program and never end.
func Known() []goleak.Option {
	return []goleak.Option{
		// gnet's worker pool, which Ferry does not use.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	}
}
