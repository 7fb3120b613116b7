package fleet

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// greeter is the service of protobuf messages.
type greeter struct{}

// Greet fails for "fail" and "code:n", and for "colour" sends that attachment back.
func (greeter) Greet(ctx context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	switch name.Value {
	case "fail":
		return nil, &triple.Status{Code: triple.NotFound, Message: "nobody is called fail"}
	case "colour":
		colour := ferry.Attachments(ctx).Value("colour")
		protocol.SetReplyAttachment(ctx, "reply-colour", "got "+colour)
		return wrapperspb.String(colour), nil
	}
	if err := coded(name.Value); err != nil {
		return nil, err
	}
	return wrapperspb.String("hello " + name.Value), nil
}

func (greeter) Count(_ context.Context, n *wrapperspb.Int32Value) iter.Seq2[*wrapperspb.StringValue, error] {
	return func(yield func(*wrapperspb.StringValue, error) bool) {
		if n.Value < 0 && yield(wrapperspb.String("n0"), nil) {
			yield(nil, code(-n.Value))
			return
		}
		for i := range n.Value {
			if !yield(wrapperspb.String(fmt.Sprint("n", i)), nil) {
				return
			}
		}
	}
}

func (greeter) Talk(_ context.Context, words iter.Seq2[*wrapperspb.StringValue, error]) iter.Seq2[*wrapperspb.StringValue, error] {
	return func(yield func(*wrapperspb.StringValue, error) bool) {
		for word, err := range words {
			if err == nil {
				err = coded(word.Value)
			}
			if !yield(word, err) {
				return
			}
		}
	}
}

// Join answers with all the words, with commas between them.
func (greeter) Join(_ context.Context, words iter.Seq2[*wrapperspb.StringValue, error]) (*wrapperspb.StringValue, error) {
	var all []string
	for word, err := range words {
		if err == nil {
			err = coded(word.Value)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, word.Value)
	}
	return wrapperspb.String(strings.Join(all, ",")), nil
}

// coded is the failure that a word of the form code:n asks for.
func coded(word string) error {
	var n int32
	if _, err := fmt.Sscanf(word, "code:%d", &n); err != nil {
		return nil
	}
	return code(n)
}

func code(n int32) error {
	return &triple.Status{Code: triple.Code(n), Message: fmt.Sprint("the text of ", n)}
}
