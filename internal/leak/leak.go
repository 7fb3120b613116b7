// Package leak fails a package's tests when they leave a goroutine behind.
package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and then looks for goroutines that should be gone. Call it from TestMain.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet's worker pool, which Ferry does not use, starts these two when the program starts.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	)
}
