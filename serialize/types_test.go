package serialize

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type user struct{ Name string }

type account struct{ User *user }

func TestTypes(t *testing.T) {
	var types Types
	require.NoError(t, types.Add("com.example.User", user{}))
	require.NoError(t, types.Add("com.example.User", &user{}), "the same pair again, by pointer")
	require.NoError(t, types.Add("com.example.Account", (*account)(nil)), "a nil pointer tells the type")
	rt, ok := types.Type("com.example.User")
	require.True(t, ok)
	require.Equal(t, reflect.TypeFor[user](), rt)
	class, ok := types.Class(reflect.TypeFor[account]())
	require.True(t, ok)
	require.Equal(t, "com.example.Account", class)
	_, ok = types.Type("com.example.Nobody")
	require.False(t, ok)
	_, ok = types.Class(reflect.TypeFor[*user]())
	require.False(t, ok, "pointers are not looked up")
}

func TestTypesRefuses(t *testing.T) {
	var types Types
	require.NoError(t, types.Add("com.example.User", user{}))
	err := types.Add("com.example.User", account{})
	require.ErrorContains(t, err, "com.example.User")
	require.ErrorContains(t, err, "serialize.account")
	require.Error(t, types.Add("", user{}))
	require.Error(t, types.Add("com.example.Nil", nil))
	rt, _ := types.Type("com.example.User")
	require.Equal(t, reflect.TypeFor[user](), rt, "a refused pair changes nothing")
}

func TestNilTypes(t *testing.T) {
	var types *Types
	_, ok := types.Type("com.example.User")
	require.False(t, ok)
	_, ok = types.Class(reflect.TypeFor[user]())
	require.False(t, ok)
}

func TestTypesConcurrently(t *testing.T) {
	var types Types
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				name := fmt.Sprint("com.example.User", i)
				if err := types.Add(name, user{}); err != nil {
					t.Error(g, err)
				}
				if _, ok := types.Type(name); !ok {
					t.Error("lost", name)
				}
			}
		})
	}
	wg.Wait()
}
