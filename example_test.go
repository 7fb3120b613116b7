package ferry_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/examples/quickstart/hello"
)

type exampleGreeter struct{}

func (exampleGreeter) SayHello(_ context.Context, name string) (*hello.Greeting, error) {
	return &hello.Greeting{Text: "Hello, " + name, Provider: "A"}, nil
}

// A provider and a consumer in one process, with a registry inside it. The page of the client's monitor is an
// http.Handler; a program mounts it where it likes, for instance http.Handle("/ferry", client.Monitor().Page()).
func Example() {
	server := ferry.NewServer("memory://example")
	defer server.Close(context.Background())
	if err := hello.ExportGreeter(server, exampleGreeter{}); err != nil {
		fmt.Println(err)
		return
	}
	client := ferry.NewClient("memory://example")
	defer client.Close()
	greeter, err := hello.ReferGreeter(client, ferry.Retries(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"Ann", "Bob", "Cid"} {
		greeting, err := greeter.SayHello(context.Background(), name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(greeting.Text)
	}

	page := httptest.NewRecorder()
	client.Monitor().Page().ServeHTTP(page, httptest.NewRequest("GET", "/ferry", nil))
	lines := strings.Split(page.Body.String(), "\n")
	fmt.Println(strings.Join(strings.Fields(lines[0])[:4], " "))
	fmt.Println(strings.Join(strings.Fields(lines[1])[:4], " "))
	// Output:
	// Hello, Ann
	// Hello, Bob
	// Hello, Cid
	// side service method calls
	// consumer com.example.quickstart.Greeter sayHello 3
}

// A misspelt parameter is found when the service is referred to.
func ExampleClient_Refer() {
	client := ferry.NewClient("memory://example")
	defer client.Close()
	_, err := client.Refer(hello.GreeterService, ferry.Param("sayHello.timeot", "800ms"))
	fmt.Println(err)
	// Output:
	// ferry: refer to com.example.quickstart.Greeter: method sayHello: unknown parameter "timeot", did you mean "timeout"?
}
