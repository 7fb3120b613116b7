package fleet

import (
	"context"
	"iter"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet/idl"
	"github.com/ferryrpc/ferry/protocol"
)

// shop does what idl.proto says.
type shop struct{}

// ReceiptOf is a receipt of items.
func ReceiptOf(basket *idl.Basket) *idl.Receipt {
	r := &idl.Receipt{Basket: basket}
	for _, item := range basket.GetItems() {
		r.Total += item.Pence
	}
	return r
}

func (shop) Order(ctx context.Context, basket *idl.Basket) (*idl.Receipt, error) {
	if err := coded(basket.GetCard()); err != nil {
		return nil, err
	}
	if basket.GetCard() == "colour" {
		colour := ferry.Attachments(ctx).Value("colour")
		protocol.SetReplyAttachment(ctx, "reply-colour", "got "+colour)
		basket = &idl.Basket{Payment: &idl.Basket_Card{Card: colour}}
	}
	return ReceiptOf(basket), nil
}

func (shop) Track(_ context.Context, basket *idl.Basket) iter.Seq2[*idl.Receipt, error] {
	return func(yield func(*idl.Receipt, error) bool) {
		for _, item := range basket.Items {
			if !yield(ReceiptOf(&idl.Basket{Items: []*idl.Item{item}}), nil) {
				return
			}
		}
		if err := coded(basket.GetCard()); err != nil {
			yield(nil, err)
		}
	}
}

func (shop) Fill(_ context.Context, items iter.Seq2[*idl.Item, error]) (*idl.Receipt, error) {
	var all idl.Basket
	for item, err := range items {
		if err == nil {
			err = coded(item.Name)
		}
		if err != nil {
			return nil, err
		}
		all.Items = append(all.Items, item)
	}
	return ReceiptOf(&all), nil
}

func (shop) Haggle(_ context.Context, items iter.Seq2[*idl.Item, error]) iter.Seq2[*idl.Receipt, error] {
	return func(yield func(*idl.Receipt, error) bool) {
		for item, err := range items {
			if err == nil {
				err = coded(item.Name)
			}
			if !yield(ReceiptOf(&idl.Basket{Items: []*idl.Item{item}}), err) {
				return
			}
		}
	}
}
