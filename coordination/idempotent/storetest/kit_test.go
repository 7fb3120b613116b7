package storetest

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/ferryrpc/ferry/coordination/idempotent"
)

func request(t testing.TB, n int) idempotent.Request {
	return idempotent.Request{Key: idempotent.Key{Caller: "shop", Service: "com.example.Bank", Method: "pay", Text: fmt.Sprint(t.Name(), n)},
		Owner: idempotent.NewOwner(), Lease: time.Minute, TTL: time.Minute}
}

func nothing(*sql.Tx) error { return nil }
