package interop

import (
	"context"
	"errors"
	"fmt"
	"iter"

	protobuf "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/interop/fleet/idl"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// shopCells are cells with a service of a .proto file, from which either side has generated its code.
type shopCells struct {
	shop idl.Shop
	ref  *ferry.Reference
}

func (x *shopCells) all() []streamCell {
	const code = triple.FailedPrecondition
	failing := &idl.Item{Name: fmt.Sprint("code:", int(code))}
	both := []*idl.Receipt{receipt(tea()), receipt(refund())}
	return []streamCell{
		{"idl/unary", func(ctx context.Context) error { return x.order(ctx, basket()) }},
		{"idl/unary, an empty message", func(ctx context.Context) error { return x.order(ctx, &idl.Basket{}) }},
		{"idl/unary, failure with code and text", func(ctx context.Context) error {
			_, err := x.shop.Order(ctx, &idl.Basket{Payment: &idl.Basket_Card{Card: failing.Name}})
			return coded(err, code, textOf(code))
		}},
		{"idl/unary, attachments both ways", x.attachments},
		{"idl/server stream", func(ctx context.Context) error { return receipts(x.shop.Track(ctx, basket()), 0, both...) }},
		{"idl/server stream, failure with code and text", func(ctx context.Context) error {
			b := basket()
			b.Payment = &idl.Basket_Card{Card: failing.Name}
			return receipts(x.shop.Track(ctx, b), code, both...)
		}},
		{"idl/client stream", func(ctx context.Context) error { return x.fill(ctx, tea(), refund()) }},
		{"idl/client stream, no message", func(ctx context.Context) error { return x.fill(ctx) }},
		{"idl/client stream, failure with code and text", func(ctx context.Context) error {
			_, err := x.shop.Fill(ctx, of(failing))
			return coded(err, code, textOf(code))
		}},
		{"idl/bidirectional stream", func(ctx context.Context) error {
			return receipts(x.shop.Haggle(ctx, of(tea(), refund())), 0, both...)
		}},
		{"idl/bidirectional stream, failure with code and text", func(ctx context.Context) error { return x.haggleFails(ctx, failing, code) }},
	}
}

func textOf(code triple.Code) string { return fmt.Sprint("the text of ", int(code)) }

func tea() *idl.Item {
	return &idl.Item{Name: "tea 中😀", Pence: 30, Discount: -5, Colour: idl.Colour_GREEN, Picture: []byte{0, 255}, Made: &timestamppb.Timestamp{Seconds: 1, Nanos: 2},
		Tags: []string{"x", ""}}
}

func refund() *idl.Item { return &idl.Item{Pence: -1, Colour: 99} }

func basket() *idl.Basket {
	return &idl.Basket{Items: []*idl.Item{tea(), refund()}, Gifts: map[string]*idl.Item{"Ann": tea()}, Payment: &idl.Basket_Cash{Cash: 0.5}, Urgent: new(bool), Id: 1<<64 - 1}
}

func receipt(items ...*idl.Item) *idl.Receipt { return fleet.ReceiptOf(&idl.Basket{Items: items}) }

func same(want, got *idl.Receipt, err error) error {
	if err == nil && !protobuf.Equal(want, got) {
		return fmt.Errorf("got %v, not %v", got, want)
	}
	return err
}

func (x *shopCells) order(ctx context.Context, b *idl.Basket) error {
	r, err := x.shop.Order(ctx, b)
	return same(fleet.ReceiptOf(b), r, err)
}

func (x *shopCells) fill(ctx context.Context, items ...*idl.Item) error {
	r, err := x.shop.Fill(ctx, of(items...))
	return same(receipt(items...), r, err)
}

func (x *shopCells) attachments(ctx context.Context) error {
	call := idl.ShopService.Methods[0].New()
	call.Args.At(0).(*idl.Basket).Payment = &idl.Basket_Card{Card: "colour"}
	err := x.ref.Invoke(protocol.WithAttachment(ctx, "colour", "blau"), call)
	return errors.Join(want("blau", call.Reply.At(0).(*idl.Receipt).GetBasket().GetCard(), err), want("got blau", call.ReplyAttachments.Value("reply-colour"), nil))
}

// receipts holds a stream to its messages, and to the code with which it fails behind them.
func receipts(stream iter.Seq2[*idl.Receipt, error], code triple.Code, all ...*idl.Receipt) error {
	n := 0
	for r, err := range stream {
		if err != nil && code != 0 && n == len(all) {
			return coded(err, code, textOf(code))
		}
		if err != nil || n == len(all) {
			return fmt.Errorf("message %d is %v, %w", n, r, err)
		}
		if err = same(all[n], r, nil); err != nil {
			return err
		}
		n++
	}
	if code != 0 {
		return fmt.Errorf("nothing failed after %d messages", n)
	}
	return want(len(all), n, nil)
}

func (x *shopCells) haggleFails(ctx context.Context, failing *idl.Item, code triple.Code) error {
	heard := make(chan struct{})
	items := func(yield func(*idl.Item, error) bool) {
		if !yield(tea(), nil) {
			return
		}
		select { // the failure comes behind the answer
		case <-heard:
		case <-ctx.Done():
		}
		yield(failing, nil)
	}
	return receipts(func(yield func(*idl.Receipt, error) bool) {
		for r, err := range x.shop.Haggle(ctx, items) {
			if err == nil {
				close(heard)
			}
			if !yield(r, err) {
				return
			}
		}
	}, code, receipt(tea()))
}
